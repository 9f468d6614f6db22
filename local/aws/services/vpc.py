"""EC2's security group rules, which are resources of their own."""

from typing import Any

from local.aws.definition import Definition, Scope
from local.aws.ec2_parts import EC2_TAGS, arn
from local.provider.values import Props


class GroupRule(Definition):
    """One rule of a security group."""

    direction = "ingress"

    def create(self, scope: Scope, facts: Props) -> Props:
        """Adds it to its group."""
        made = self._client(scope, "authorize")(GroupId=facts["securityGroupId"], IpPermissions=[_permission(facts)])
        rule = {"id": made["SecurityGroupRules"][0]["SecurityGroupRuleId"]}
        if facts.get("tags"):
            EC2_TAGS.add(scope, "ec2", rule, facts["tags"])
        return rule

    def read(self, scope: Scope, facts: Props) -> Props | None:
        """The rule by its id."""
        filters = [{"Name": "group-id", "Values": [facts["securityGroupId"]]}] if facts.get("securityGroupId") else []
        rules: list[dict[str, Any]] = scope.client("ec2").describe_security_group_rules(Filters=filters)[
            "SecurityGroupRules"
        ]
        rule = next((one for one in rules if one["SecurityGroupRuleId"] == facts["id"]), None)
        if rule is None:
            return None
        return {
            "arn": arn("security-group-rule")(scope, scope.facts(facts))["arn"],
            "securityGroupId": rule["GroupId"],
            "securityGroupRuleId": facts["id"],
            "ipProtocol": rule["IpProtocol"],
            "fromPort": rule.get("FromPort"),
            "toPort": rule.get("ToPort"),
            "cidrIpv4": rule.get("CidrIpv4"),
            "description": rule.get("Description"),
            "tags": EC2_TAGS.of(scope, "ec2", facts),
        }

    def update(self, scope: Scope, facts: Props, changed: set[str]) -> None:
        """Changes it in place."""
        if changed - {"tags"}:
            rule = {
                "IpProtocol": facts["ipProtocol"],
                "FromPort": facts.get("fromPort", -1),
                "ToPort": facts.get("toPort", -1),
                "CidrIpv4": facts.get("cidrIpv4"),
                "Description": facts.get("description", ""),
            }
            scope.client("ec2").modify_security_group_rules(
                GroupId=facts["securityGroupId"],
                SecurityGroupRules=[{"SecurityGroupRuleId": facts["id"], "SecurityGroupRule": rule}],
            )
        if "tags" in changed:
            EC2_TAGS.become(scope, "ec2", facts, EC2_TAGS.of(scope, "ec2", facts), facts.get("tags") or {})

    def delete(self, scope: Scope, facts: Props) -> None:
        """Takes it out of its group."""
        self._client(scope, "revoke")(GroupId=facts["securityGroupId"], SecurityGroupRuleIds=[facts["id"]])

    def _client(self, scope: Scope, verb: str) -> Any:
        return getattr(scope.client("ec2"), f"{verb}_security_group_{self.direction}")


class EgressRule(GroupRule):
    """One rule for what leaves."""

    direction = "egress"


def _permission(facts: Props) -> dict[str, Any]:
    ranges: dict[str, Any] = {"CidrIp": facts.get("cidrIpv4")}
    if facts.get("description"):
        ranges["Description"] = facts["description"]
    permission: dict[str, Any] = {"IpProtocol": facts["ipProtocol"]}
    if facts.get("cidrIpv4"):
        permission["IpRanges"] = [ranges]
    if facts.get("referencedSecurityGroupId"):
        permission["UserIdGroupPairs"] = [{"GroupId": facts["referencedSecurityGroupId"]}]
    ports = {"FromPort": facts.get("fromPort"), "ToPort": facts.get("toPort")}
    return permission | {name: port for name, port in ports.items() if port is not None}


TYPES: tuple[Definition, ...] = (
    GroupRule("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", id="{id}", replace_on=("securityGroupId",)),
    EgressRule("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", id="{id}", replace_on=("securityGroupId",)),
)
