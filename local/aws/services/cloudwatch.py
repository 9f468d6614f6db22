"""CloudWatch as pulumi-aws draws it: events, logs, alarms."""

from local.aws.cloudwatch import alarms, events, logs

TYPES = (*events.TYPES, *logs.TYPES, *alarms.TYPES)
