"""What an environment may cost in a month, and who hears when it comes near."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.naming import Limit, named

TAG = "slipway:environment"
"""Cost allocation tag of everything that Slipway makes. It must be activated once in the billing console (an account
setting, and only the payer's account can); until then the budget counts nothing."""


class BudgetArgs(TypedDict):
    """What a Budget is given."""

    environment: str
    """Environment name; the budget counts what carries it as tag `slipway:environment`."""
    monthly_usd: float
    """Budget of a month, in US dollars, above zero."""
    topic_arns: Sequence[pulumi.Input[str]]
    """SNS topics that are told, at least one address or topic; `budgets.amazonaws.com` must be allowed to publish."""
    emails: NotRequired[Sequence[str]]
    """Mail addresses that are told. Default none."""
    alert_percent: NotRequired[Sequence[float]]
    """Shares of the budget that are told when reached. Default 50, 80 and 100 %. The forecast to exceed it is told
    as well."""
    tags: NotRequired[dict[str, pulumi.Input[str]]]
    """Tags on everything that takes tags."""


class Budget(pulumi.ComponentResource):
    """A monthly cost budget of the environment: alerts at shares of it, and when the forecast exceeds it."""

    name: pulumi.Output[str]
    """Name of the budget."""

    def __init__(self, name: str, args: BudgetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:index:Budget", name, {**args}, opts)
        environment = args["environment"]
        if not args["topic_arns"] and not args.get("emails"):
            raise ValueError(f"budget of {environment}: expected a topic or a mail address to tell, got none")
        budget = aws.budgets.Budget(
            f"{name}-monthly",
            name=named(environment, "monthly", limit=Limit.BUDGET),
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=f"{args['monthly_usd']:.2f}",
            limit_unit="USD",
            # A budget of tagged cost: key and value are joined by a dollar sign (AWS Budgets, CostFilters).
            cost_filters=[{"name": "TagKeyValue", "values": [f"user:{TAG}${environment}"]}],
            notifications=notifications(args),
            tags=args.get("tags"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.name = budget.name
        self.register_outputs({"name": self.name})


def notifications(args: BudgetArgs) -> list[aws.budgets.BudgetNotificationArgsDict]:
    """One notification a share that is reached, and one for the forecast to exceed the budget."""

    def told(percent: float, kind: str) -> aws.budgets.BudgetNotificationArgsDict:
        return {
            "comparison_operator": "GREATER_THAN",
            "threshold": percent,
            "threshold_type": "PERCENTAGE",
            "notification_type": kind,
            "subscriber_email_addresses": list(args.get("emails", ())),
            "subscriber_sns_topic_arns": list(args["topic_arns"]),
        }

    return [told(percent, "ACTUAL") for percent in args.get("alert_percent", (50, 80, 100))] + [told(100, "FORECASTED")]
