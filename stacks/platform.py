"""Config → components: the only place that composes them."""

import pulumi
import pulumi_aws as aws

from components.data_store import DataStore, DataStoreArgs
from components.model import ModelArgs
from components.model_registry import ModelRegistry, ModelRegistryArgs
from components.model_service import ModelService, ModelServiceArgs
from components.service_namespace import ServiceNamespace, namespace_name
from stacks.config.environments import Environment
from stacks.config.model import StackConfig
from stacks.config.services import Rest, Service


def build(config: StackConfig) -> dict[str, pulumi.Input[object]]:
    """Makes everything of an environment and returns the stack's outputs (docs/architecture.md lists them)."""
    return Builder(config).build()


class Builder:
    """One environment in the making. Its providers are explicit: nothing depends on what a machine happens to have."""

    def __init__(self, config: StackConfig) -> None:
        self.config = config
        self.environment = config.environment.value
        self.protected = config.environment is Environment.PROD
        self.aws = aws_provider(config)
        self.opts = pulumi.ResourceOptions(providers=[self.aws])

    def build(self) -> dict[str, pulumi.Input[object]]:
        """Every component, in the order in which they need each other."""
        platform = self.config.platform
        self.data = self.data_store()
        self.registry = self.model_registry()
        image = platform.image
        suffix = f"@{image.digest}" if image.digest else f":{image.tag}"
        self.image = pulumi.Output.concat(self.registry.image_repository, suffix)
        services = {name: self.service(name, service) for name, service in self.config.services.items()}
        return {
            "environment": self.environment,
            "region": platform.region,
            "models_bucket": self.data.models_bucket,
            "capture_bucket": self.data.capture_bucket,
            "outcomes_bucket": self.data.outcomes_bucket,
            "warehouse_bucket": self.data.warehouse_bucket,
            "kms_key_arn": self.data.kms_key_arn,
            "event_bus": self.registry.event_bus,
            "image_repository": self.registry.image_repository,
            "model_groups": self.registry.model_groups,
            "services": services,
        }

    def data_store(self) -> DataStore:
        """Key, buckets, tables."""
        data = self.config.platform.data
        args: DataStoreArgs = {
            "environment": self.environment,
            "protected": self.protected,
            "capture_retention_days": data.retention.capture_days,
            "scan_limit_gib": data.scan_limit_gib,
        }
        if data.kms_key_arn:
            args["kms_key_arn"] = data.kms_key_arn
        return DataStore("data", args, self.opts)

    def model_registry(self) -> ModelRegistry:
        """Images, model versions, events."""
        args: ModelRegistryArgs = {
            "environment": self.environment,
            "protected": self.protected,
            "models": sorted({service.model.name for service in self.config.services.values()}),
            "kms_key_arn": self.data.kms_key_arn,
        }
        if repository := self.config.platform.image.repository:
            args["image_repository_url"] = repository
        return ModelRegistry("registry", args, self.opts)

    def service(self, name: str, service: Service) -> dict[str, object]:
        """One service with its patterns, and its entry in the stack's outputs."""
        namespace = ServiceNamespace(name, {"environment": self.environment, "service": name}, self.opts).namespace
        if service.rest:
            self.rest(name, service, service.rest, namespace)
        return {
            "namespace": namespace_name(name),
            "deployment": f"{name}-rest",
            "service": f"{name}-rest",
            "model": service.model.name,
            "version": service.model.version,
            "digest": service.model.digest,
            "patterns": service.patterns,
        }

    def rest(self, name: str, service: Service, rest: Rest, namespace: pulumi.Input[str]) -> ModelService:
        """The online pattern of a service."""
        replicas, scaling = rest.replicas, rest.scaling
        args: ModelServiceArgs = {
            "environment": self.environment,
            "service": name,
            "namespace": namespace,
            "image": self.image,
            "models_bucket": self.data.models_bucket,
            "kms_key_arn": self.data.kms_key_arn,
            "replicas": {"min": replicas.min, "max": replicas.max, "cpu_percent": scaling.cpu_percent},
            "resources": {"cpu": rest.resources.cpu, "memory": rest.resources.memory},
            "workers": rest.workers,
        }
        if model := released(service):
            args["model"] = model
        if rest.local_port:
            args["annotations"] = {"slipway.dev/local-port": str(rest.local_port)}
        return ModelService(f"{name}-rest", args, self.opts)


def aws_provider(config: StackConfig) -> aws.Provider:
    """AWS in the environment's region, with its tags on everything; credentials of another account are refused."""
    platform = config.platform
    return aws.Provider(
        "aws",
        region=platform.region,  # pyright: ignore[reportArgumentType] - the SDK's enum lags behind AWS's regions
        allowed_account_ids=[platform.account] if platform.account else None,
        default_tags={"tags": {"slipway:environment": config.environment.value, **platform.tags}},
    )


def released(service: Service) -> ModelArgs | None:
    """The model version that a service runs; None before its first release."""
    model = service.model
    if not (model.version and model.digest):
        return None
    return {"name": model.name, "version": model.version, "digest": model.digest}
