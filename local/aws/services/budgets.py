"""Budgets."""

from local.aws.stored import Stored

TYPES = (
    Stored(
        "aws:budgets/budget:Budget",
        id="{accountId}:{name}",
        # The emulation's budgets take no cost filters and send nothing.
        stored="the emulation counts no cost and sends no notification",
        autoname="name",
        unordered=("notifications",),
        replace_on=("name", "namePrefix", "accountId"),
        outputs={"arn": "arn:{partition}:budgets::{account}:budget/{name}", "accountId": "{account}"},
    ),
)
