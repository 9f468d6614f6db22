"""Budget: limits, shares and who is told."""

import pytest

from components.budget import Budget

TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"


@pytest.fixture
def make(provision):
    return lambda **more: provision(
        lambda: Budget("budget", {"environment": "prod", "monthly_usd": 1200, "topic_arns": [TOPIC], **more})
    )


def test_counts_the_months_cost_of_what_carries_the_environments_tag(make):
    made = make().resources["budget-monthly"]
    inputs = made.inputs
    assert (inputs["budgetType"], inputs["timeUnit"], inputs["limitAmount"], inputs["limitUnit"]) == (
        "COST",
        "MONTHLY",
        "1200.00",
        "USD",
    )
    assert inputs["costFilters"] == [{"name": "TagKeyValue", "values": ["user:slipway:environment$prod"]}]


def test_tells_at_each_share_and_when_the_forecast_exceeds_it(make):
    told = make(alert_percent=[60, 90], emails=["ml@example.com"]).resources["budget-monthly"].inputs["notifications"]
    assert [(one["threshold"], one["notificationType"]) for one in told] == [
        (60, "ACTUAL"),
        (90, "ACTUAL"),
        (100, "FORECASTED"),
    ]
    assert all(one["subscriberSnsTopicArns"] == [TOPIC] for one in told)
    assert all(one["subscriberEmailAddresses"] == ["ml@example.com"] for one in told)


def test_refuses_to_tell_nobody(provision):
    with pytest.raises(ValueError, match="budget of dev: expected a topic or a mail address to tell, got none"):
        provision(lambda: Budget("budget", {"environment": "dev", "monthly_usd": 10, "topic_arns": []}))
