"""Every policy document of any environment: actions, ARNs and conditions are there; no grant is wider than it must."""

import json
from collections import defaultdict
from copy import deepcopy
from typing import Any

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data
from validity.iam_lint import MAX_CHARACTERS, Document, Kind, documents, problems
from validity.worlds import World


@pytest.fixture(scope="module")
def all_documents(worlds: list[World]) -> list[Document]:
    return [document for world in worlds for document in documents(world)]


def test_no_document_has_a_problem(all_documents: list[Document]):
    assert len(all_documents) > 150
    assert {document.kind for document in all_documents} == set(Kind)
    found = {f"{document.source}: {problem}" for document in all_documents for problem in problems(document)}
    assert not found, "\n".join(sorted(found))


def test_inline_policies_of_a_role_fit_together(worlds: list[World]):
    """IAM adds up what is attached to a role."""
    for world in worlds:
        sizes: defaultdict[str, int] = defaultdict(int)
        for made in world.of_type("aws:iam/rolePolicy:RolePolicy"):
            sizes[made.inputs["role"]] += len(json.dumps(made.json("policy"), separators=(",", ":")))
        assert {role: size for role, size in sizes.items() if size > MAX_CHARACTERS[Kind.IDENTITY]} == {}


def test_attached_policies_of_aws_exist(worlds: list[World]):
    known = {
        f"arn:aws:iam::aws:policy{policy['Path']}{name}"
        for name, policy in json.loads(aws_managed_policies_data).items()
    }
    attached = {
        made.inputs["policyArn"]
        for world in worlds
        for made in world.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    }
    assert len(attached) > 8
    assert attached - known == set()


def test_a_log_group_pattern_is_what_limits_describing_them():
    statement = {
        "Effect": "Allow",
        "Action": "logs:DescribeLogGroups",
        "Resource": "arn:aws:logs:eu-west-1:123456789012:log-group:*",
    }
    assert problems(Document("one", Kind.IDENTITY, {**GOOD, "Statement": statement})) == []


GOOD: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Read",
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": ["arn:aws:s3:::slipway-models/one/*"],
            "Condition": {"StringEquals": {"aws:PrincipalAccount": "123456789012"}},
        },
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "arn:aws:sqs:eu-west-1:123456789012:one"},
    ],
}
TRUST: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}


def test_a_good_document_has_no_problem():
    assert problems(Document("good", Kind.IDENTITY, GOOD)) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"Action": ["s3:GetObjects"]}, "s3:GetObjects is no action"),
        ({"Action": ["s4:GetObject"]}, "s4:GetObject is no action"),
        ({"Resource": ["*"]}, "s3:GetObject has Resource *, where arn:"),
        ({"Resource": ["arn:aws:s3:::slipway-models"]}, "no action here takes arn:aws:s3:::slipway-models"),
        ({"Resource": ["arn:aws:sqs:eu-west-1:123456789012:one"]}, "s3:GetObject takes arn:"),
        ({"Action": ["s3:ListBucket"]}, "s3:ListBucket takes arn:"),
        ({"Condition": {"StringEqual": {"aws:SourceAccount": "1"}}}, "StringEqual is no condition operator"),
        (
            {"Condition": {"StringEquals": {"s3:prefix": "one"}}},
            "condition key s3:prefix is not there for s3:GetObject",
        ),
        ({"Condition": {"StringEquals": {"aws:SourceAcount": "1"}}}, "condition key aws:SourceAcount is not there"),
        ({"Principal": {"AWS": "123456789012"}}, "has a Principal in a identity policy"),
        ({"Effect": "allow"}, "Effect is allow"),
        ({"Resources": ["*"]}, "element Resources is not known here"),
        ({"Sid": "read one"}, "Sid read one has other characters than letters and digits"),
        ({"Action": ["ecr:GetAuthorizationToken"]}, "ecr:GetAuthorizationToken takes Resource * alone"),
    ],
)
def test_a_problem_is_found(changes: dict[str, Any], says: str):
    document = deepcopy(GOOD)
    document["Statement"][0] |= changes
    assert any(problem.startswith(says) for problem in problems(Document("bad", Kind.IDENTITY, document)))


def test_a_role_that_anybody_may_assume_is_found():
    assert problems(Document("bad", Kind.TRUST, TRUST)) == ["lets everyone in without a condition"]


def test_a_document_that_is_too_long_is_found():
    long = {**GOOD, "Statement": GOOD["Statement"] * 60}
    found = problems(Document("long", Kind.IDENTITY, long))
    assert any("characters, at most 10240 are taken" in problem for problem in found)
    assert any(problem == "Sid Read is there twice" for problem in found)
