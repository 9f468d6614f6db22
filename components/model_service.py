"""One model behind REST and gRPC: deployed, scaled, reachable and closed to everybody who has no business with it."""

from typing import NotRequired

import pulumi
import pulumi_kubernetes as k8s

from components import autoscaling, iam, network_policy
from components.autoscaling import ReplicasArgs
from components.drain import drain
from components.features import OnlineTableArgs, lookup_grants, lookup_variables
from components.ingress import expose
from components.load_balancer import IngressArgs, require_ingress
from components.model import ModelArgs
from components.place import Place
from components.pod import GRPC_PORT, REST_PORT, pod_template
from components.serving_container import STARTUP_SECONDS, serving_container
from components.workload import WorkloadArgs, start_workload


class ModelServiceArgs(WorkloadArgs):
    """What a ModelService is given."""

    replicas: ReplicasArgs
    """How many pods, and by what they are scaled."""
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
    max_body_bytes: NotRequired[int]
    """Largest request. Default: the runtime's, 8 MiB."""
    max_rows: NotRequired[int]
    """Most rows in a request. Default: the runtime's, 10,000."""
    feature_tables: NotRequired[dict[str, OnlineTableArgs]]
    """Feature group -> its online table, for requests that name a key instead of features. Default none."""
    api_keys_secret_arn: NotRequired[pulumi.Input[str]]
    """Secrets Manager secret with the API keys; with it, the runtime refuses requests without one, and reads the secret
    again every minute."""
    capture_bucket: NotRequired[pulumi.Input[str]]
    """Bucket that predictions are captured to. Default: no capture."""
    outcomes_bucket: NotRequired[pulumi.Input[str]]
    """Bucket that `/outcomes` writes labels and results to. Default: there is no `/outcomes`."""
    annotations: NotRequired[dict[str, str]]
    """Further annotations of the Service, such as a fixed port of the local node."""


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
        super().__init__("slipway:index:ModelService", name, {**args}, opts)
        self._name = name
        self._args = args
        self._mine = pulumi.ResourceOptions(parent=self)
        self._drain = drain(
            args.get("drain_seconds", 20),
            load_balanced="ingress" in args,
            pre_stop_seconds=args.get("pre_stop_seconds"),
        )
        self._workload = start_workload(self, name, args, "rest", self._grants)
        self._identity = self._workload.identity
        self._labels = self._identity.labels
        self.namespace = self._workload.namespace
        self._network_policy()
        self._service(self._identity.name, name, args.get("annotations", {}))
        self._disruption_budget()
        self.host = pulumi.Output.from_input(None)
        if "ingress" in args:
            wanted = require_ingress(
                self._identity.service, args["ingress"], has_api_keys="api_keys_secret_arn" in args
            )
            self.host = expose(name, wanted, self._workload, self._drain, parent=self)
        if model := self._workload.model:
            deployment = self._deployment(model)
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
        self.role_arn = self._workload.who.role_arn
        self.register_outputs(
            {
                "namespace": self.namespace,
                "deployment": self.deployment,
                "service": self.service,
                "role_arn": self.role_arn,
                "host": self.host,
            }
        )

    def _grants(self, place: Place) -> list[iam.Statement]:
        """Besides reading their model, pods append captures and outcomes, read keys, and look features up."""
        grants: list[iam.Statement] = []
        if "capture_bucket" in self._args:
            grants += iam.write_objects(place.bucket_arn(self._args["capture_bucket"]), f"{self._args['service']}/")
        if "outcomes_bucket" in self._args:
            grants += iam.write_objects(place.bucket_arn(self._args["outcomes_bucket"]), f"{self._args['service']}/")
        if "api_keys_secret_arn" in self._args:
            # The runtime reads the keys again every minute: a rotation needs no restart, and no key is in any state.
            grants.append(iam.read_secret(self._args["api_keys_secret_arn"]))
        return grants + lookup_grants(place, self._args.get("feature_tables", {}))

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

    def _deployment(self, model: ModelArgs) -> k8s.apps.v1.Deployment:
        replicas = self._args["replicas"]
        pod = self._workload.pod(
            model,
            self._variables(),
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
                "template": pod_template(pod, serving_container("rest", self._drain, grpc=True)),
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(self._workload.who.ready),
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
        if "max_body_bytes" in args:
            variables["SLIPWAY_MAX_BODY_BYTES"] = str(args["max_body_bytes"])
        if "max_rows" in args:
            variables["SLIPWAY_MAX_ROWS"] = str(args["max_rows"])
        if args["resources"].get("gpus", 0):
            variables["SLIPWAY_DEVICE"] = "cuda"
        variables |= lookup_variables(args.get("feature_tables", {}))
        if "capture_bucket" in args:
            variables["SLIPWAY_CAPTURE_URI"] = pulumi.Output.concat(
                "s3://", args["capture_bucket"], f"/{self._identity.service}/"
            )
        if "api_keys_secret_arn" in args:
            variables["SLIPWAY_API_KEYS_SECRET"] = args["api_keys_secret_arn"]
        if "outcomes_bucket" in args:
            variables["SLIPWAY_OUTCOMES_URI"] = pulumi.Output.concat(
                "s3://", args["outcomes_bucket"], f"/{self._identity.service}/"
            )
        return variables
