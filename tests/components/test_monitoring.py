"""Monitoring: topics that only this account's alarms publish to, and a record of every event."""

import json

import pytest

from components.monitoring import Monitoring

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"


@pytest.fixture
def make(provision):
    def run(**how):
        args = {"environment": "dev", "kms_key_arn": KEY, "event_bus": "slipway-dev", "services": ["a", "b"], **how}
        return provision(lambda: Monitoring("ops", args))

    return run


def test_registers_exactly_these(make):
    made = make(email="ops@example.com")
    assert made.types() == {
        "ops": "slipway:index:Monitoring",
        "ops-page": "aws:sns/topic:Topic",
        "ops-page-policy": "aws:sns/topicPolicy:TopicPolicy",
        "ops-page-email": "aws:sns/topicSubscription:TopicSubscription",
        "ops-ticket": "aws:sns/topic:Topic",
        "ops-ticket-policy": "aws:sns/topicPolicy:TopicPolicy",
        "ops-ticket-email": "aws:sns/topicSubscription:TopicSubscription",
        "ops-events-log": "aws:cloudwatch/logGroup:LogGroup",
        "ops-events-log-policy": "aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
        "ops-events-rule": "aws:cloudwatch/eventRule:EventRule",
        "ops-events-target": "aws:cloudwatch/eventTarget:EventTarget",
        "ops-dashboard": "aws:cloudwatch/dashboard:Dashboard",
    }
    assert {m.parent for m in made.resources.values()} == {"", "ops"}


def test_only_alarms_and_budgets_of_this_account_publish(make):
    made = make().resources
    allow, deny = made["ops-page-policy"].json("policy")["Statement"]
    assert allow["Principal"] == {"Service": ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"]}
    assert allow["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert made["ops-page"].inputs["kmsMasterKeyId"] == KEY


def test_nobody_is_subscribed_unless_named(make):
    assert not make().of_type("aws:sns/topicSubscription:TopicSubscription")


def test_every_event_is_recorded_encrypted_and_for_a_year(make):
    made = make().resources
    log = made["ops-events-log"].inputs
    assert (log["name"], log["retentionInDays"], log["kmsKeyId"]) == ("/aws/events/slipway-dev", 365, KEY)
    assert made["ops-events-rule"].inputs["eventBusName"] == "slipway-dev"
    assert "ops-events-log-policy" in made["ops-events-target"].depends_on
    create, put = made["ops-events-log-policy"].json("policyDocument")["Statement"]
    assert (create["Action"], put["Action"]) == (["logs:CreateLogStream"], ["logs:PutLogEvents"])
    assert put["Condition"]["ArnEquals"]["aws:SourceArn"].endswith("slipway-dev-events")


def test_the_dashboard_shows_every_service(make):
    body = json.loads(make().resources["ops-dashboard"].inputs["dashboardBody"])
    titles = [widget["properties"]["title"] for widget in body["widgets"]]
    assert [title.split(":")[0] for title in titles] == ["a", "a", "b", "b"]
