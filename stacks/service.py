"""Config → components: one service with its patterns."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.data_store import DataStore
from components.load_balancer import IngressArgs, OidcArgs
from components.model import ModelArgs
from components.model_registry import ModelRegistry
from components.model_service import ModelService, ModelServiceArgs
from components.pod import ResourcesArgs
from components.service_namespace import ServiceNamespace, namespace_name
from stacks.cloud import Cloud
from stacks.config.model import StackConfig
from stacks.config.services import Ingress, Resources, Rest, Service


@dataclass(frozen=True)
class Shared:
    """What the services of an environment share."""

    config: StackConfig
    data: DataStore
    registry: ModelRegistry
    image: pulumi.Output[str]
    account: aws.Provider
    cloud: Cloud | None
    """None on one machine: its Kubernetes API is the default one."""

    @property
    def opts(self) -> pulumi.ResourceOptions:
        """Where a component's resources go."""
        return pulumi.ResourceOptions(
            providers=[self.account, self.cloud.cluster.kubernetes] if self.cloud else [self.account]
        )

    @property
    def environment(self) -> str:
        """The environment's name."""
        return self.config.environment.value


def build_service(name: str, service: Service, shared: Shared) -> dict[str, object]:
    """Makes a service with its patterns; its entry in the stack's outputs."""
    namespace = ServiceNamespace(name, {"environment": shared.environment, "service": name}, shared.opts).namespace
    if service.rest:
        ModelService(f"{name}-rest", rest_args(name, service, service.rest, namespace, shared), shared.opts)
    return {
        "namespace": namespace_name(name),
        "deployment": f"{name}-rest",
        "service": f"{name}-rest",
        "model": service.model.name,
        "version": service.model.version,
        "digest": service.model.digest,
        "patterns": list(service.patterns),
    }


def rest_args(
    name: str, service: Service, rest: Rest, namespace: pulumi.Input[str], shared: Shared
) -> ModelServiceArgs:
    """The online pattern."""
    args: ModelServiceArgs = {
        "environment": shared.environment,
        "service": name,
        "namespace": namespace,
        "image": shared.image,
        "models_bucket": shared.data.models_bucket,
        "capture_bucket": shared.data.capture_bucket,
        "kms_key_arn": shared.data.kms_key_arn,
        "replicas": {"min": rest.replicas.min, "max": rest.replicas.max, "cpu_percent": rest.scaling.cpu_percent},
        "resources": resources(rest.resources),
        "workers": rest.workers,
    }
    if rest.scaling.requests_per_second:
        args["replicas"]["requests_per_second"] = rest.scaling.requests_per_second
    if rest.pool:
        args["pool"] = rest.pool
    if model := released(service):
        args["model"] = model
    if shared.cloud:
        args["cluster_name"] = shared.cloud.cluster.name
        if rest.ingress:
            args["ingress"] = ingress_args(rest.ingress, shared.cloud, shared.account)
    if rest.ingress and rest.ingress.auth and rest.ingress.auth.api_keys_arn:
        args["api_keys_secret_arn"] = rest.ingress.auth.api_keys_arn
    if rest.local_port:
        args["annotations"] = {"slipway.dev/local-port": str(rest.local_port)}
    return args


def resources(wanted: Resources) -> ResourcesArgs:
    """What a pod gets."""
    return {"cpu": wanted.cpu, "memory": wanted.memory, "gpus": wanted.gpus}


def released(service: Service) -> ModelArgs | None:
    """The model version that a service runs; None before its first release."""
    model = service.model
    if not (model.version and model.digest):
        return None
    return {"name": model.name, "version": model.version, "digest": model.digest}


def ingress_args(ingress: Ingress, cloud: Cloud, account: aws.Provider) -> IngressArgs:
    """The way in from outside; a client secret comes from Secrets Manager and stays a secret."""
    args: IngressArgs = {
        "host": ingress.host,
        "certificate_arn": ingress.certificate_arn,
        "allowed_cidrs": list(ingress.allowed_cidrs),
        "subnet_cidrs": [cloud.network.vpc_cidr],
        "public": ingress.public,
    }
    if ingress.auth and (oidc := ingress.auth.oidc):
        secret = aws.secretsmanager.get_secret_version_output(
            secret_id=oidc.client_secret_arn, opts=pulumi.InvokeOptions(provider=account)
        ).secret_string
        client = pulumi.Output.secret(secret).apply(oidc_client)
        signing_in: OidcArgs = {
            "issuer": oidc.issuer,
            "authorization_endpoint": oidc.authorization_endpoint,
            "token_endpoint": oidc.token_endpoint,
            "user_info_endpoint": oidc.user_info_endpoint,
            "client_id": client.apply(lambda found: found["clientID"]),
            "client_secret": client.apply(lambda found: found["clientSecret"]),
        }
        args["oidc"] = signing_in
    return args


def oidc_client(secret: str) -> dict[str, str]:
    """`clientID` and `clientSecret` of a secret's text; the error for others does not repeat it."""
    try:
        content: dict[str, str] = json.loads(secret)
        return {key: content[key] for key in ("clientID", "clientSecret")}
    except (ValueError, KeyError, TypeError):
        raise ValueError("auth.oidc.client_secret_arn: expected JSON with clientID and clientSecret") from None
