"""Config → components: what an environment's services share. `cloud` and `service` have the rest of the composition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components.alarms import NotifyArgs
from components.data_store import DataStore, DataStoreArgs
from components.features import FeatureGroupArgs, columns, offline_table, schema_digest
from components.model_registry import ModelRegistry, ModelRegistryArgs
from stacks.config.environments import Environment
from stacks.config.model import StackConfig
from stacks.config.platform import FeatureGroup
from stacks.service import Shared, build_service

# What one machine has none of is imported where it is needed: the SDK behind it takes two seconds to load.
if TYPE_CHECKING:
    from components.budget import BudgetArgs
    from components.delivery import DeliveryArgs
    from components.feature_store import FeatureStore, FeatureStoreArgs
    from components.monitoring import MonitoringArgs
    from stacks.cloud import Cloud

Outputs = dict[str, pulumi.Input[object]]


def build(config: StackConfig) -> Outputs:
    """Makes everything of an environment, in the order of need; the stack's outputs (docs/architecture.md)."""
    account = account_provider(config)
    opts = pulumi.ResourceOptions(providers=[account])
    data = data_store(config, opts)
    registry = model_registry(config, data, opts)
    notify = monitoring(config, data, registry, opts) if is_watched(config) else None
    roles = github_delivery(config, registry, opts)
    if notify:
        watch_spend(config, notify, opts)
    features = feature_store(config, data, opts)
    shared = Shared(
        config=config,
        data=data,
        registry=registry,
        image=image(config, registry),
        notify=notify,
        features=features,
        account=account,
        cloud=None if config.environment is Environment.LOCAL else cloud(config, data, account),
    )
    services = {name: build_service(name, service, shared) for name, service in config.services.items()}
    return {
        "environment": config.environment.value,
        "region": config.platform.region,
        "models_bucket": data.models_bucket,
        "capture_bucket": data.capture_bucket,
        "outcomes_bucket": data.outcomes_bucket,
        "warehouse_bucket": data.warehouse_bucket,
        "kms_key_arn": data.kms_key_arn,
        "event_bus": registry.event_bus,
        "image_repository": registry.image_repository,
        "model_groups": registry.model_groups,
        "services": services,
        **({"feature_groups": feature_groups(config, features)} if features else {}),
        **roles,
    }


def account_provider(config: StackConfig) -> aws.Provider:
    """AWS in the environment's region, with its tags on everything; credentials of another account are refused."""
    platform = config.platform
    return aws.Provider(
        "aws",
        region=platform.region,  # pyright: ignore[reportArgumentType] - the SDK's enum lags behind AWS's regions
        allowed_account_ids=[platform.account] if platform.account else None,
        default_tags={"tags": {"slipway:environment": config.environment.value, **platform.tags}},
    )


def is_watched(config: StackConfig) -> bool:
    """Whether alarms are made. One machine evaluates none, so there they come with the first pattern that reports."""
    services = config.services.values()
    return config.environment is not Environment.LOCAL or any(s.batch or s.stream or s.retraining for s in services)


def cloud(config: StackConfig, data: DataStore, account: aws.Provider) -> Cloud:
    """Network, cluster and pools."""
    from stacks.cloud import Cloud

    return Cloud(config, data, account)


def data_store(config: StackConfig, opts: pulumi.ResourceOptions) -> DataStore:
    """Key, buckets, tables."""
    data = config.platform.data
    args: DataStoreArgs = {
        "environment": config.environment.value,
        "protected": config.protected,
        "capture_retention_days": data.retention.capture_days,
        "outcomes_retention_days": data.retention.outcomes_days,
        "warehouse_retention_days": data.retention.warehouse_days,
        "old_versions_days": data.retention.old_versions_days,
        "scan_limit_gib": data.scan_limit_gib,
    }
    if data.kms_key_arn:
        args["kms_key_arn"] = data.kms_key_arn
    return DataStore("data", args, opts)


def model_registry(config: StackConfig, data: DataStore, opts: pulumi.ResourceOptions) -> ModelRegistry:
    """Images, model versions, events."""
    args: ModelRegistryArgs = {
        "environment": config.environment.value,
        "protected": config.protected,
        "models": sorted({service.model.name for service in config.services.values()}),
        "kms_key_arn": data.kms_key_arn,
    }
    if repository := config.platform.image.repository:
        args["image_repository_url"] = repository
    return ModelRegistry("registry", args, opts)


def image(config: StackConfig, registry: ModelRegistry) -> pulumi.Output[str]:
    """The serving image, by digest where that is given."""
    wanted = config.platform.image
    return pulumi.Output.concat(registry.image_repository, f"@{wanted.digest}" if wanted.digest else f":{wanted.tag}")


def github_delivery(config: StackConfig, registry: ModelRegistry, opts: pulumi.ResourceOptions) -> Outputs:
    """Roles for GitHub's jobs, as outputs to be put into the workflow; none without the setting."""
    delivery = config.platform.delivery
    if not delivery:
        return {}
    args: DeliveryArgs = {
        "environment": config.environment.value,
        "repository": delivery.github,
        "branch": delivery.branch,
        "approval": config.platform.approvals.deployments.value,
    }
    if not config.platform.image.repository:
        args["image_repository_arn"] = registry.image_repository_arn.apply(lambda arn: arn or "")
    if delivery.provider_arn:
        args["provider_arn"] = delivery.provider_arn
    if delivery.state_bucket:
        args["state_bucket"] = delivery.state_bucket
    if delivery.state_key_arn:
        args["state_key_arn"] = delivery.state_key_arn
    from components.delivery import Delivery

    made = Delivery("delivery", args, opts)
    return {
        "preview_role": made.preview_role_arn,
        "deploy_role": made.deploy_role_arn,
        "push_role": made.push_role_arn,
    }


def monitoring(
    config: StackConfig, data: DataStore, registry: ModelRegistry, opts: pulumi.ResourceOptions
) -> NotifyArgs:
    """Topics for alarms, the record of events, the environment's dashboard; who is told of alarms."""
    alarms = config.platform.alarms
    args: MonitoringArgs = {
        "environment": config.environment.value,
        "kms_key_arn": data.kms_key_arn,
        "event_bus": registry.event_bus,
        "services": list(config.services),
        "log_retention_days": config.platform.data.retention.logs_days,
    }
    if alarms.email:
        args["email"] = alarms.email
    from components.monitoring import Monitoring

    made = Monitoring("monitoring", args, opts)
    own = [alarms.topic_arn] if alarms.topic_arn else []
    return {"page": [made.page_topic_arn, *own], "ticket": [made.ticket_topic_arn, *own]}


def feature_store(config: StackConfig, data: DataStore, opts: pulumi.ResourceOptions) -> FeatureStore | None:
    """Online and offline tables; none without feature groups."""
    groups = {name: feature_group(group) for name, group in config.platform.feature_groups.items()}
    if not groups:
        return None
    args: FeatureStoreArgs = {
        "environment": config.environment.value,
        "protected": config.protected,
        "groups": groups,
        "kms_key_arn": data.kms_key_arn,
        "warehouse_bucket": data.warehouse_bucket,
        "database": data.database,
    }
    from components.feature_store import FeatureStore

    return FeatureStore("features", args, opts)


def feature_groups(config: StackConfig, store: FeatureStore) -> Outputs:
    """What somebody who writes rows of a group has to know, by group."""
    groups = {name: feature_group(group) for name, group in config.platform.feature_groups.items()}
    return {
        name: {
            **store.lookup(name),
            "event_time": config.platform.feature_groups[name].event_time,
            "columns": columns(name, group),
            "ttl_hours": group.get("ttl_hours"),
            "prefix": offline_table(name, group).prefix,
            "schema": schema_digest(name, group),
        }
        for name, group in groups.items()
    }


def feature_group(group: FeatureGroup) -> FeatureGroupArgs:
    """One group's schema."""
    args: FeatureGroupArgs = {
        "key": group.key,
        "event_time": group.event_time,
        "features": {column: kind.value for column, kind in group.features.items()},
    }
    if group.ttl_hours:
        args["ttl_hours"] = group.ttl_hours
    return args


def watch_spend(config: StackConfig, notify: NotifyArgs, opts: pulumi.ResourceOptions) -> None:
    """The budget; none without the setting."""
    budget, alarms = config.platform.budget, config.platform.alarms
    if not budget:
        return
    args: BudgetArgs = {
        "environment": config.environment.value,
        "monthly_usd": budget.monthly_usd,
        "alert_percent": budget.alert_percent,
        "emails": [alarms.email] if alarms.email else [],
        "topic_arns": notify["ticket"],
    }
    from components.budget import Budget

    Budget("budget", args, opts)
