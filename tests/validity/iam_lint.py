"""What AWS, or a careful reviewer, would refuse about a policy document."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from validity import iam_reference as reference
from validity.worlds import World


class Kind(StrEnum):
    """What a document is attached to."""

    IDENTITY = "identity"
    TRUST = "trust"
    RESOURCE = "resource"
    KEY = "key"


MAX_CHARACTERS = {Kind.IDENTITY: 10_240, Kind.TRUST: 2_048, Kind.RESOURCE: 20_480, Kind.KEY: 32_768}
"""Inline policies of a role together; a trust policy without a raised quota; a bucket policy; a key policy."""
KINDS: Mapping[tuple[str, str], Kind] = {
    ("aws:iam/role:Role", "assumeRolePolicy"): Kind.TRUST,
    ("aws:iam/rolePolicy:RolePolicy", "policy"): Kind.IDENTITY,
    ("aws:iam/policy:Policy", "policy"): Kind.IDENTITY,
    ("aws:kms/key:Key", "policy"): Kind.KEY,
}
"""Type and property of documents that are not resource policies."""
OPERATORS = re.compile(
    r"(ForAllValues:|ForAnyValue:)?"
    r"(String(Not)?(Equals|Like|EqualsIgnoreCase)|Numeric(Not)?Equals|Numeric(Less|Greater)Than(Equals)?|Date(Not)?Equals"
    r"|Date(Less|Greater)Than(Equals)?|Bool|BinaryEquals|(Not)?IpAddress|Arn(Not)?(Equals|Like))(IfExists)?|Null"
)
ELEMENTS = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}


@dataclass(frozen=True)
class Document:
    """A policy document and where it comes from."""

    source: str
    kind: Kind
    content: dict[str, Any]


def documents(world: World) -> Iterator[Document]:
    """Every policy document of a world: what is JSON with statements, wherever it stands."""
    for made in world.resources.values():
        for key, value in made.inputs.items():
            if isinstance(value, str) and value.lstrip().startswith("{") and '"Statement"' in value:
                kind = KINDS.get((made.typ, key), Kind.RESOURCE)
                yield Document(f"{world.name} / {made.name}.{key}", kind, json.loads(value))


def listed(value: Any) -> list[Any]:
    """`value` as a list, where IAM takes one or many."""
    return value if isinstance(value, list) else [value]


def problems(document: Document) -> list[str]:
    """Everything that is wrong with a document."""
    found: list[str] = []
    if document.content.get("Version") != "2012-10-17":
        found.append(f"Version is {document.content.get('Version')}")
    statements: list[dict[str, Any]] = listed(document.content.get("Statement", []))
    if not statements:
        found.append("has no statement")
    sids = [statement["Sid"] for statement in statements if "Sid" in statement]
    found += [f"Sid {sid} is there twice" for sid in {sid for sid in sids if sids.count(sid) > 1}]
    size = len(json.dumps(document.content, separators=(",", ":")))
    if size > MAX_CHARACTERS[document.kind]:
        found.append(f"has {size} characters, at most {MAX_CHARACTERS[document.kind]} are taken")
    for statement in statements:
        found += [*shape(statement, document.kind), *misspelt(statement)]
        found += [*resources(statement, document.kind), *conditions(statement)]
    return found


def shape(statement: dict[str, Any], kind: Kind) -> Iterator[str]:
    """Elements that are not known, or do not belong into a document of this kind."""
    yield from (f"element {name} is not known here" for name in statement.keys() - ELEMENTS)
    if statement.get("Effect") not in {"Allow", "Deny"}:
        yield f"Effect is {statement.get('Effect')}"
    if not re.fullmatch("[A-Za-z0-9]*", statement.get("Sid", "")):
        yield f"Sid {statement['Sid']} has other characters than letters and digits"
    if ("Principal" in statement) == (kind is Kind.IDENTITY):
        yield f"{'has a' if 'Principal' in statement else 'has no'} Principal in a {kind} policy"
    if ("Resource" in statement) == (kind is Kind.TRUST):
        yield f"{'has a' if 'Resource' in statement else 'has no'} Resource in a {kind} policy"
    for principal in everyone(statement):
        if statement.get("Effect") == "Allow" and "Condition" not in statement:
            yield f"lets {principal} in without a condition"


def everyone(statement: dict[str, Any]) -> Iterator[str]:
    """Principals that are anybody."""
    principal: Any = statement.get("Principal", {})
    for entry in [principal] if isinstance(principal, str) else [e for v in principal.values() for e in listed(v)]:
        if entry == "*":
            yield "everyone"


def misspelt(statement: dict[str, Any]) -> Iterator[str]:
    """Actions that there are not."""
    if not statement.get("Action"):
        yield "has no Action"
    for pattern in listed(statement.get("Action", [])):
        if not reference.actions(pattern):
            yield f"{pattern} is no action"


def resources(statement: dict[str, Any], kind: Kind) -> Iterator[str]:
    """`*` where an ARN is possible, ARNs that no action takes, actions that get none of their ARNs."""
    if kind in {Kind.TRUST, Kind.KEY}:  # the role; in a key policy `*` is the key
        return
    given: list[str] = listed(statement.get("Resource", []))
    if not given:
        yield "has an empty Resource"
    taken: set[str] = set()
    for pattern in listed(statement.get("Action", [])):
        formats = {arn for action in reference.actions(pattern) for arn in reference.resource_formats(action)}
        fitting = {resource for resource in given for arn in formats if reference.fits(resource, arn)}
        taken |= fitting
        if "*" in given and formats and statement["Effect"] == "Allow":
            yield f"{pattern} has Resource *, where {min(formats)} is possible"
        if "*" not in given and not formats and reference.actions(pattern):
            yield f"{pattern} takes Resource * alone"
        if formats and not fitting:
            yield f"{pattern} takes {', '.join(sorted(formats))}; none of these is: {', '.join(given)}"
    yield from (f"no action here takes {resource}" for resource in given if resource not in {"*", *taken})


def conditions(statement: dict[str, Any]) -> Iterator[str]:
    """Operators that there are not, and keys that no request for an action carries: those never hold."""
    for operator, tests in statement.get("Condition", {}).items():
        if not OPERATORS.fullmatch(operator):
            yield f"{operator} is no condition operator"
        for key, values in tests.items():
            if not listed(values):
                yield f"condition {key} has no value"
            for pattern in listed(statement.get("Action", [])):
                acting = reference.actions(pattern)
                if acting and not (issuer_claim(statement, key) or any(reference.has_key(a, key) for a in acting)):
                    yield f"condition key {key} is not there for {pattern}"


def issuer_claim(statement: dict[str, Any], key: str) -> bool:
    """Whether `key` is a claim of the OIDC provider that the statement lets in (`<issuer>:aud`, `<issuer>:sub`)."""
    issuer, _, claim = key.rpartition(":")
    principal: Any = statement.get("Principal", {})
    federated = listed(principal.get("Federated", [])) if isinstance(principal, dict) else []
    return claim in {"aud", "sub"} and any(str(arn).endswith(f":oidc-provider/{issuer}") for arn in federated)
