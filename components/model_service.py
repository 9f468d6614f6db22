"""One model behind REST and gRPC: deployed, scaled, reachable and closed to everybody who has no business with it."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from components import autoscaling, iam, network_policy
from components.autoscaling import ReplicasArgs
from components.drain import Drain, drain
from components.load_balancer import (
    GRPC_PREFIX,
    OIDC_SECRET,
    IngressArgs,
    OidcArgs,
    grpc_annotations,
    ingress_annotations,
    require_ingress,
)
from components.model import ModelArgs, require_model
from components.naming import require_name
from components.place import Place, place_of
from components.pod import GRPC_PORT, REST_PORT, Identity, Pod, ResourcesArgs, pod_template
from components.service_namespace import ServiceNamespace
from components.workload_identity import WorkloadIdentity, workload_identity

STARTUP_SECONDS = 300
"""How long a pod may take to load and warm up a model before it is started again."""


class ModelServiceArgs(TypedDict):
    """What a ModelService is given."""

    environment: str
    """Environment name; part of names and labels."""
    service: str
    """Service name: 1-40 lower-case letters, digits and hyphens."""
    image: pulumi.Input[str]
    """Image of the runtime, by digest outside `local`."""
    models_bucket: pulumi.Input[str]
    """Bucket of the model packages."""
    kms_key_arn: pulumi.Input[str]
    """Key of the buckets."""
    replicas: ReplicasArgs
    """How many pods, and by what they are scaled."""
    resources: ResourcesArgs
    """What one pod needs."""
    model: NotRequired[ModelArgs]
    """The version to serve. Without one (before the first approval) everything but the pods is provisioned."""
    namespace: NotRequired[pulumi.Input[str]]
    """An existing namespace, when patterns of a service share one. Without it, a ServiceNamespace is made."""
    cluster_name: NotRequired[pulumi.Input[str]]
    """EKS cluster that gives the pods their role (Pod Identity). Without it, credentials come some other way."""
    pool: NotRequired[str]
    """ComputePool that the pods run on. Default: anywhere that fits."""
    workers: NotRequired[int]
    """Processes in a pod that share its port. Default 1."""
    drain_seconds: NotRequired[int]
    """Longest that an open request may take to finish when its pod goes. Default 20."""
    pre_stop_seconds: NotRequired[int]
    """Seconds that a pod keeps serving while it is taken out of Services and load balancers. Default 5, or 15 behind a
    load balancer."""
    client_namespaces: NotRequired[list[str]]
    """Namespaces of the cluster whose pods may call the service. Default none."""
    ingress: NotRequired[IngressArgs]
    """How the service is reached from outside the cluster. Default: not at all."""
    api_keys_secret_arn: NotRequired[pulumi.Input[str]]
    """Secrets Manager secret with the API keys; with it, the runtime refuses requests without one."""
    capture_bucket: NotRequired[pulumi.Input[str]]
    """Bucket that predictions are captured to. Default: no capture."""
    annotations: NotRequired[dict[str, str]]
    """Further annotations of the Service, such as a fixed port of the local node."""
    tags: NotRequired[dict[str, pulumi.Input[str]]]
    """Tags on everything that takes tags."""


class ModelService(pulumi.ComponentResource):
    """A model service: Deployment, Service, autoscaling, disruption budget, network policy, role, and an ALB if asked.

    Pods run as nobody, with a read-only root and no capabilities. A rolling update starts a pod before it stops one,
    and a stopping pod serves until nothing routes to it any more: no request fails.
    """

    namespace: pulumi.Output[str]
    """Namespace of everything Kubernetes."""
    deployment: pulumi.Output[str]
    """Name of the Deployment, whether or not there is a model to run yet."""
    service: pulumi.Output[str]
    """Name of the Kubernetes Service; its ports are `rest` (8080) and `grpc` (8081)."""
    role_arn: pulumi.Output[str]
    """ARN of the pods' role."""
    host: pulumi.Output[str | None]
    """DNS name of the load balancer; none without an ingress."""

    def __init__(self, name: str, args: ModelServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _with_secrets(args)
        super().__init__("slipway:index:ModelService", name, {**args}, opts)
        service = require_name("service", args["service"])
        self._name = name
        self._args = args
        self._mine = pulumi.ResourceOptions(parent=self)
        self._identity = Identity(args["environment"], service, "rest")
        self._labels = self._identity.labels
        self._drain = drain(
            args.get("drain_seconds", 20),
            load_balanced="ingress" in args,
            pre_stop_seconds=args.get("pre_stop_seconds"),
        )
        place = place_of(self)

        self.namespace = pulumi.Output.from_input(args.get("namespace") or self._own_namespace())
        who = workload_identity(
            name,
            self._identity,
            self.namespace,
            self._grants(place),
            place,
            cluster_name=args.get("cluster_name"),
            tags=args.get("tags"),
            parent=self,
        )
        self._network_policy()
        self._service(self._identity.name, name, args.get("annotations", {}))
        self._disruption_budget()
        self.host = pulumi.Output.from_input(None)
        if "ingress" in args:
            self.host = self._ingress(
                require_ingress(service, args["ingress"], has_api_keys="api_keys_secret_arn" in args)
            )
        if "model" in args:
            deployment = self._deployment(require_model(args["model"]), who, place)
            autoscaling.scale(
                f"{name}-scaling",
                deployment,
                self._identity,
                self.namespace,
                args["replicas"],
                parent=self,
            )
        self.deployment = pulumi.Output.from_input(self._identity.name)
        self.service = pulumi.Output.from_input(self._identity.name)
        self.role_arn = who.role_arn
        self.register_outputs(
            {
                "namespace": self.namespace,
                "deployment": self.deployment,
                "service": self.service,
                "role_arn": self.role_arn,
                "host": self.host,
            }
        )

    def _own_namespace(self) -> pulumi.Output[str]:
        return ServiceNamespace(
            f"{self._name}-ns",
            {"environment": self._identity.environment, "service": self._identity.service},
            opts=self._mine,
        ).namespace

    def _grants(self, place: Place) -> list[iam.Statement]:
        """What the pods may do: read their own model, append to their own capture, read their own keys."""
        args = self._args
        captures = "capture_bucket" in args
        grants = [iam.encrypt(args["kms_key_arn"]) if captures else iam.decrypt(args["kms_key_arn"])]
        if "model" in args:
            grants += iam.read_objects(place.bucket_arn(args["models_bucket"]), f"{args['model']['name']}/")
        if "capture_bucket" in args:
            grants += iam.write_objects(place.bucket_arn(args["capture_bucket"]), f"{self._identity.service}/")
        if "api_keys_secret_arn" in args:
            grants.append(iam.read_secret(args["api_keys_secret_arn"]))
        return grants

    def _network_policy(self) -> None:
        ingress = [network_policy.from_namespaces(network_policy.METRICS_NAMESPACES, [REST_PORT])]
        if clients := self._args.get("client_namespaces"):
            ingress.append(network_policy.from_namespaces(clients, [REST_PORT, GRPC_PORT]))
        if "ingress" in self._args:
            ingress.append(network_policy.from_addresses(self._args["ingress"]["subnet_cidrs"], [REST_PORT, GRPC_PORT]))
        network_policy.allow_only(
            self._identity.name,
            self.namespace,
            self._labels,
            self._identity.selector,
            ingress,
            network_policy.to_aws(),
            resource=f"{self._name}-network-policy",
            parent=self,
        )

    def _service(self, object_name: str, resource: str, annotations: dict[str, str]) -> None:
        k8s.core.v1.Service(
            f"{resource}-service",
            metadata={
                "name": object_name,
                "namespace": self.namespace,
                "labels": self._labels,
                # Pods may come later (a service without a model waits); the Deployment tells whether they are ready.
                "annotations": {"pulumi.com/skipAwait": "true", **annotations},
            },
            spec={
                "type": "ClusterIP",
                "selector": self._identity.selector,
                "ports": [
                    {"name": "rest", "port": REST_PORT, "target_port": "rest", "app_protocol": "http"},
                    {"name": "grpc", "port": GRPC_PORT, "target_port": "grpc", "app_protocol": "kubernetes.io/h2c"},
                ],
            },
            opts=self._mine,
        )

    def _disruption_budget(self) -> None:
        k8s.policy.v1.PodDisruptionBudget(
            f"{self._name}-disruption-budget",
            metadata={"name": self._identity.name, "namespace": self.namespace, "labels": self._labels},
            # Not minAvailable: with one replica it would stop every node from ever being drained.
            spec={
                "max_unavailable": 1,
                "selector": {"match_labels": self._identity.selector},
                "unhealthy_pod_eviction_policy": "AlwaysAllow",
            },
            opts=self._mine,
        )

    def _ingress(self, ingress: IngressArgs) -> pulumi.Output[str | None]:
        grpc = f"{self._identity.service}-grpc"
        k8s.core.v1.Service(
            f"{self._name}-grpc-service",
            metadata={
                "name": grpc,
                "namespace": self.namespace,
                "labels": self._labels,
                "annotations": {"pulumi.com/skipAwait": "true", **grpc_annotations(self._drain)},
            },
            spec={
                "type": "ClusterIP",
                "selector": self._identity.selector,
                "ports": [{"name": "grpc", "port": GRPC_PORT, "target_port": "grpc"}],
            },
            opts=self._mine,
        )
        if "oidc" in ingress:
            self._oidc_secret(ingress["oidc"])
        annotations = ingress_annotations(self._identity.environment, self._identity.service, ingress, self._drain)
        if "model" not in self._args:
            # An Ingress is awaited until its Services have ready pods, and there are none yet.
            annotations["pulumi.com/skipAwait"] = "true"
        rule: k8s.networking.v1.IngressRuleArgsDict = {
            "http": {
                "paths": [
                    _path(GRPC_PREFIX, grpc, "grpc"),
                    _path("/", self._identity.name, "rest"),
                ]
            }
        }
        if "host" in ingress:
            rule["host"] = ingress["host"]
        made = k8s.networking.v1.Ingress(
            f"{self._name}-ingress",
            metadata={
                "name": self._identity.name,
                "namespace": self.namespace,
                "labels": self._labels,
                "annotations": annotations,
            },
            spec={"ingress_class_name": ingress.get("ingress_class", "alb"), "rules": [rule]},
            opts=self._mine,
        )
        return made.status.apply(_load_balancer_host)

    def _oidc_secret(self, oidc: OidcArgs) -> None:
        """The client secret, and leave for the load balancer controller (and nobody else) to read it."""
        meta: k8s.meta.v1.ObjectMetaArgsDict = {
            "name": OIDC_SECRET,
            "namespace": self.namespace,
            "labels": self._labels,
        }
        k8s.core.v1.Secret(
            f"{self._name}-oidc-client",
            metadata=meta,
            string_data={"clientID": oidc["client_id"], "clientSecret": oidc["client_secret"]},
            opts=self._mine,
        )
        k8s.rbac.v1.Role(
            f"{self._name}-oidc-reader",
            metadata=meta,
            rules=[{"api_groups": [""], "resources": ["secrets"], "resource_names": [OIDC_SECRET], "verbs": ["get"]}],
            opts=self._mine,
        )
        k8s.rbac.v1.RoleBinding(
            f"{self._name}-oidc-reader-binding",
            metadata=meta,
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": OIDC_SECRET},
            # EKS Auto Mode's controllers are the group; a controller of one's own is the service account.
            subjects=[
                {"api_group": "rbac.authorization.k8s.io", "kind": "Group", "name": "eks:managed"},
                {"kind": "ServiceAccount", "name": "aws-load-balancer-controller", "namespace": "kube-system"},
            ],
            opts=self._mine,
        )

    def _deployment(self, model: ModelArgs, who: WorkloadIdentity, place: Place) -> k8s.apps.v1.Deployment:
        args = self._args
        replicas = args["replicas"]
        pod = Pod(
            identity=self._identity,
            image=args["image"],
            service_account=who.service_account,
            model=model,
            models_bucket=args["models_bucket"],
            region=place.region,
            resources=args["resources"],
            variables=self._variables(),
            pool=args.get("pool"),
            grace_seconds=self._drain.grace_seconds,
            scraped=True,
        )
        return k8s.apps.v1.Deployment(
            f"{self._name}-deployment",
            metadata={"name": self._identity.name, "namespace": self.namespace, "labels": self._labels},
            spec={
                "replicas": replicas["min"],
                "revision_history_limit": 3,
                "progress_deadline_seconds": STARTUP_SECONDS * 2,
                "selector": {"match_labels": self._identity.selector},
                "strategy": {
                    "type": "RollingUpdate",
                    "rolling_update": {"max_unavailable": 0, "max_surge": "25%"},
                },
                "template": pod_template(pod, serving_container(self._drain)),
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(who.ready),
                # The autoscaler owns the number of replicas once it is there; `min` is only what the first rollout has.
                ignore_changes=["spec.replicas"] if autoscaling.scales(replicas) else None,
            ),
        )

    def _variables(self) -> dict[str, pulumi.Input[str]]:
        args = self._args
        variables: dict[str, pulumi.Input[str]] = {
            "SLIPWAY_REST_PORT": str(REST_PORT),
            "SLIPWAY_GRPC_PORT": str(GRPC_PORT),
            "SLIPWAY_WORKERS": str(args.get("workers", 1)),
            "SLIPWAY_DRAIN_SECONDS": str(self._drain.drain_seconds),
        }
        if "capture_bucket" in args:
            variables["SLIPWAY_CAPTURE_URI"] = pulumi.Output.concat(
                "s3://", args["capture_bucket"], f"/{self._identity.service}/"
            )
        if "api_keys_secret_arn" in args:
            variables["SLIPWAY_API_KEYS_SECRET"] = args["api_keys_secret_arn"]
        return variables


def serving_container(drain: Drain) -> k8s.core.v1.ContainerArgsDict:
    """Ports, probes and the end of a container that serves.

    The startup probe gives a large model time without making liveness slow to notice a hang; readiness looks often,
    so that a pod which is not ready gets no more than two seconds of requests.
    """
    live: k8s.core.v1.HTTPGetActionArgsDict = {"path": "/v2/health/live", "port": "rest"}
    ready: k8s.core.v1.HTTPGetActionArgsDict = {"path": "/v2/health/ready", "port": "rest"}
    container: k8s.core.v1.ContainerArgsDict = {
        "name": "rest",
        "ports": [
            {"name": "rest", "container_port": REST_PORT, "protocol": "TCP"},
            {"name": "grpc", "container_port": GRPC_PORT, "protocol": "TCP"},
        ],
        "startup_probe": {
            "http_get": ready,
            "period_seconds": 1,
            "timeout_seconds": 1,
            "failure_threshold": STARTUP_SECONDS,
        },
        "readiness_probe": {"http_get": ready, "period_seconds": 2, "timeout_seconds": 1, "failure_threshold": 1},
        "liveness_probe": {"http_get": live, "period_seconds": 10, "timeout_seconds": 2, "failure_threshold": 3},
    }
    if drain.pre_stop_seconds:
        container["lifecycle"] = {"pre_stop": {"sleep": {"seconds": drain.pre_stop_seconds}}}
    return container


def _with_secrets(args: ModelServiceArgs) -> ModelServiceArgs:
    """`args` with what is secret marked so, before the engine writes the component's inputs into its state."""
    ingress = args.get("ingress")
    if ingress is None or "oidc" not in ingress:
        return args
    oidc: OidcArgs = {**ingress["oidc"], "client_secret": pulumi.Output.secret(ingress["oidc"]["client_secret"])}
    return {**args, "ingress": {**ingress, "oidc": oidc}}


def _path(prefix: str, service: str, port: str) -> k8s.networking.v1.HTTPIngressPathArgsDict:
    return {
        "path": prefix,
        "path_type": "Prefix",
        "backend": {"service": {"name": service, "port": {"name": port}}},
    }


def _load_balancer_host(status: k8s.networking.v1.outputs.IngressStatus | None) -> str | None:
    entries: Sequence[k8s.networking.v1.outputs.IngressLoadBalancerIngress] = (
        (status.load_balancer.ingress or []) if status and status.load_balancer else []
    )
    return entries[0].hostname if entries else None
