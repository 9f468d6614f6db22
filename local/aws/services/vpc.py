"""EC2's security group rules, which are resources of their own."""

from typing import Any

from local.aws.definition import Definition, Scope
from local.aws.ec2_parts import EC2_TAGS, arn
from local.aws.errors import ClientError, is_missing
from local.aws.stored import Stored
from local.provider.values import Props

_SIMPLE = {"cidrIpv4": "CidrIpv4", "cidrIpv6": "CidrIpv6", "prefixListId": "PrefixListId", "description": "Description"}
_PORTS = {"ipProtocol": "IpProtocol", "fromPort": "FromPort", "toPort": "ToPort"}
_SOURCES = {
    "cidrIpv4": ("IpRanges", "CidrIp"),
    "cidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
    "prefixListId": ("PrefixListIds", "PrefixListId"),
    "referencedSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
}


class GroupRule(Definition):
    """One rule of a security group.

    A rule for a group that the emulation does not have (that of an EKS cluster, or one that a program says exists
    elsewhere) is only kept.
    """

    direction = "ingress"

    def create(self, scope: Scope, facts: Props) -> Props:
        """Adds it to its group."""
        if not _has_group(scope, facts.get("referencedSecurityGroupId")):
            made_up = {"id": f"sgr-{scope.facts(facts)['digest'][:17]}"}
            self._kept().create(scope, facts | made_up)
            return made_up
        made = self._call(scope, "authorize")(GroupId=facts["securityGroupId"], IpPermissions=[_permission(facts)])
        rule = {"id": made["SecurityGroupRules"][0]["SecurityGroupRuleId"]}
        if facts.get("tags"):
            EC2_TAGS.add(scope, "ec2", rule, facts["tags"])
        return rule

    def read(self, scope: Scope, facts: Props) -> Props | None:
        """The rule by its id."""
        if (kept := self._kept().read(scope, facts)) is not None:
            return kept
        group = facts.get("securityGroupId")
        filters = [{"Name": "group-id", "Values": [group]}] if group else []
        rules: list[Any] = scope.client("ec2").describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
        rule = next((one for one in rules if one["SecurityGroupRuleId"] == facts["id"]), None)
        if rule is None:
            return None
        found: Props = {name: rule.get(member) for name, member in {**_PORTS, **_SIMPLE}.items()}
        return found | {
            "arn": arn("security-group-rule")(scope, scope.facts(facts))["arn"],
            "securityGroupId": rule["GroupId"],
            "securityGroupRuleId": facts["id"],
            "referencedSecurityGroupId": rule.get("ReferencedGroupInfo", {}).get("GroupId"),
            "tags": EC2_TAGS.of(scope, "ec2", facts),
        }

    def update(self, scope: Scope, facts: Props, changed: set[str]) -> None:
        """Changes it in place."""
        if self._kept().read(scope, facts) is not None:
            self._kept().update(scope, facts, changed)
            return
        if changed - {"tags"}:
            rule = {member: facts.get(name) for name, member in {**_PORTS, **_SIMPLE}.items()}
            rule["ReferencedGroupId"] = facts.get("referencedSecurityGroupId")
            wanted = {"FromPort": -1, "ToPort": -1} | {key: value for key, value in rule.items() if value is not None}
            scope.client("ec2").modify_security_group_rules(
                GroupId=facts["securityGroupId"],
                SecurityGroupRules=[{"SecurityGroupRuleId": facts["id"], "SecurityGroupRule": wanted}],
            )
        if "tags" in changed:
            EC2_TAGS.become(scope, "ec2", facts, EC2_TAGS.of(scope, "ec2", facts), facts.get("tags") or {})

    def delete(self, scope: Scope, facts: Props) -> None:
        """Takes it out of its group."""
        if self._kept().read(scope, facts) is not None:
            self._kept().delete(scope, facts)
        else:
            self._call(scope, "revoke")(GroupId=facts["securityGroupId"], SecurityGroupRuleIds=[facts["id"]])

    def _kept(self) -> Stored:
        return Stored(self.token, id=self.id, stored="the other security group is not one of the emulation")

    def _call(self, scope: Scope, verb: str) -> Any:
        return getattr(scope.client("ec2"), f"{verb}_security_group_{self.direction}")


class EgressRule(GroupRule):
    """One rule for what leaves."""

    direction = "egress"


def _has_group(scope: Scope, group: str | None) -> bool:
    """Whether the emulation has the group; a rule that names none has nothing to miss."""
    if group is None:
        return True
    try:
        scope.client("ec2").describe_security_groups(GroupIds=[group])
    except ClientError as error:
        if not is_missing(error):
            raise
        return False
    return True


def _permission(facts: Props) -> dict[str, Any]:
    permission: dict[str, Any] = {member: facts[name] for name, member in _PORTS.items() if facts.get(name) is not None}
    for name, (sources, member) in _SOURCES.items():
        if facts.get(name):
            described = {"Description": facts["description"]} if facts.get("description") else {}
            permission[sources] = [{member: facts[name], **described}]
    return permission


TYPES: tuple[Definition, ...] = (
    GroupRule("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", id="{id}", replace_on=("securityGroupId",)),
    EgressRule("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", id="{id}", replace_on=("securityGroupId",)),
)
