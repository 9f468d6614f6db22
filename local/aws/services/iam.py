"""IAM: roles, policies and what trusts whom."""

from local.aws.api import Api, Call
from local.aws.definition import Scope
from local.aws.names import Names
from local.aws.tagging import Tags
from local.provider.values import Props


def _of(kind: str, key: str = "", value: str = "{name}") -> Tags:
    return Tags(
        key or f"{kind.title()}Name",
        value,
        add_call=f"tag_{kind}",
        remove_call=f"untag_{kind}",
        list=f"list_{kind}_tags",
    )


def _detach_all(scope: Scope, facts: Props) -> None:
    """`forceDetachPolicies`: what others have attached goes with the role."""
    if not facts.get("forceDetachPolicies"):
        return
    client, role = scope.client("iam"), facts["name"]
    for policy in client.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        client.detach_role_policy(RoleName=role, PolicyArn=policy["PolicyArn"])
    for name in client.list_role_policies(RoleName=role)["PolicyNames"]:
        client.delete_role_policy(RoleName=role, PolicyName=name)


def _make_room(scope: Scope, facts: Props) -> None:
    """IAM keeps five versions of a policy: the oldest goes before a sixth comes."""
    client = scope.client("iam")
    versions = client.list_policy_versions(PolicyArn=facts["arn"])["Versions"]
    others = [version for version in versions if not version["IsDefaultVersion"]]
    if len(versions) >= 5:
        oldest = min(others, key=lambda version: version["CreateDate"])
        client.delete_policy_version(PolicyArn=facts["arn"], VersionId=oldest["VersionId"])


def _remove_versions(scope: Scope, facts: Props) -> None:
    client = scope.client("iam")
    for version in client.list_policy_versions(PolicyArn=facts["arn"])["Versions"]:
        if not version["IsDefaultVersion"]:
            client.delete_policy_version(PolicyArn=facts["arn"], VersionId=version["VersionId"])


def _with_scheme(found: Props) -> Props:
    """IAM gives a provider's URL back without its scheme."""
    return {**found, "url": f"https://{found['url']}"} if "url" in found else found


def _set_client_ids(scope: Scope, facts: Props) -> None:
    if "clientIdLists" not in facts["__changed"]:
        return
    client, provider = scope.client("iam"), {"OpenIDConnectProviderArn": facts["arn"]}
    has = set(client.get_open_id_connect_provider(**provider)["ClientIDList"])
    for added in set(facts["clientIdLists"]) - has:
        client.add_client_id_to_open_id_connect_provider(**provider, ClientID=added)
    for removed in has - set(facts["clientIdLists"]):
        client.remove_client_id_from_open_id_connect_provider(**provider, ClientID=removed)


def _set_role_of_profile(scope: Scope, facts: Props) -> None:
    client, profile = scope.client("iam"), {"InstanceProfileName": facts["name"]}
    for role in client.get_instance_profile(**profile)["InstanceProfile"]["Roles"]:
        client.remove_role_from_instance_profile(**profile, RoleName=role["RoleName"])
    if facts.get("role"):
        client.add_role_to_instance_profile(**profile, RoleName=facts["role"])


def _role_of_profile(scope: Scope, facts: Props) -> Props:
    profile = scope.client("iam").get_instance_profile(InstanceProfileName=facts["name"])["InstanceProfile"]
    return {"role": profile["Roles"][0]["RoleName"]} if profile["Roles"] else {}


def _no_role_of_profile(scope: Scope, facts: Props) -> None:
    _set_role_of_profile(scope, {"name": facts["name"]})


TYPES = (
    Api(
        "aws:iam/role:Role",
        id="{name}",
        service="iam",
        make=Call("create_role", result="Role"),
        find=(Call("get_role", result="Role"),),
        change=(Call("update_role"), Call("update_assume_role_policy")),
        before_remove=_detach_all,
        remove=Call("delete_role"),
        names=Names(
            "Role",
            {
                "AssumeRolePolicyDocument": "assumeRolePolicy",
                "PolicyDocument": "assumeRolePolicy",
                "RoleId": "uniqueId",
            },
        ),
        tags=_of("role"),
        autoname="name",
        replace_on=("name", "namePrefix", "path"),
        outputs={"forceDetachPolicies": False, "maxSessionDuration": 3600, "path": "/"},
    ),
    Api(
        "aws:iam/rolePolicy:RolePolicy",
        id="{role}:{name}",
        service="iam",
        make=Call("put_role_policy"),
        find=(Call("get_role_policy"),),
        change=(Call("put_role_policy"),),
        remove=Call("delete_role_policy"),
        names=Names(renames={"RoleName": "role", "PolicyName": "name", "PolicyDocument": "policy"}),
        autoname="name",
        replace_on=("name", "namePrefix", "role"),
    ),
    Api(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        id="{role}/{policyArn}",
        service="iam",
        make=Call("attach_role_policy"),
        find=(Call("list_attached_role_policies", result="AttachedPolicies", select=("PolicyArn", "{policyArn}")),),
        remove=Call("detach_role_policy"),
        names=Names(renames={"RoleName": "role"}),
        replace_on=("role", "policyArn"),
        outputs={},
    ),
    Api(
        "aws:iam/policy:Policy",
        id="{arn}",
        service="iam",
        make=Call("create_policy", result="Policy"),
        find=(
            Call("get_policy", result="Policy"),
            Call("get_policy_version", result="PolicyVersion", keys={"VersionId": "{defaultVersionId}"}),
        ),
        change=(
            lambda scope, facts: _make_room(scope, facts) if "policy" in facts["__changed"] else None,
            Call("create_policy_version", keys={"SetAsDefault": True}),
        ),
        before_remove=_remove_versions,
        remove=Call("delete_policy"),
        names=Names(
            renames={
                "PolicyDocument": "policy",
                "Document": "policy",
                "PolicyName": "name",
                "PolicyArn": "arn",
                "DefaultVersionId": "defaultVersionId",
            }
        ),
        facts=("defaultVersionId",),
        tags=_of("policy", "PolicyArn", "{arn}"),
        autoname="name",
        replace_on=("name", "namePrefix", "path", "description"),
        outputs={"path": "/"},
    ),
    Api(
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        id="{arn}",
        service="iam",
        make=Call("create_open_id_connect_provider"),
        find=(Call("get_open_id_connect_provider", keys={"OpenIDConnectProviderArn": "{arn}"}),),
        change=(_set_client_ids, Call("update_open_id_connect_provider_thumbprint")),
        remove=Call("delete_open_id_connect_provider"),
        names=Names(renames={"OpenIDConnectProviderArn": "arn"}),
        tags=_of("open_id_connect_provider", "OpenIDConnectProviderArn", "{arn}"),
        adapt=_with_scheme,
        replace_on=("url",),
        unordered=("clientIdLists", "thumbprintLists"),
        # What IAM takes from the provider's certificate when none is given.
        outputs={"thumbprintLists": ["{digest}"]},
    ),
    Api(
        "aws:iam/instanceProfile:InstanceProfile",
        id="{name}",
        service="iam",
        make=Call("create_instance_profile", result="InstanceProfile"),
        after_make=(_set_role_of_profile,),
        find=(Call("get_instance_profile", result="InstanceProfile"), _role_of_profile),
        change=(_set_role_of_profile,),
        before_remove=_no_role_of_profile,
        remove=Call("delete_instance_profile"),
        names=Names("InstanceProfile", {"InstanceProfileId": "uniqueId", "Roles": "", "Arn": "arn"}),
        tags=Tags("InstanceProfileName", "{name}", "tag_instance_profile", "untag_instance_profile", list=""),
        autoname="name",
        replace_on=("name", "namePrefix", "path"),
        outputs={"path": "/"},
    ),
)
