"""What every workload of a service has: a name, a namespace, a role, and a model to run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import pulumi

from components import iam
from components.iam import Statement
from components.model import ModelArgs, require_model
from components.naming import require_name
from components.place import Place, place_of
from components.pod import Identity, Pod, ResourcesArgs
from components.service_namespace import ServiceNamespace
from components.workload_identity import WorkloadIdentity, workload_identity


class WorkloadArgs(TypedDict):
    """What every workload of a service is given."""

    environment: str
    """Environment name; part of names and labels."""
    service: str
    """Service name: 1-40 lower-case letters, digits and hyphens."""
    image: pulumi.Input[str]
    """Image of the runtime, by digest outside `local`."""
    models_bucket: pulumi.Input[str]
    """Bucket of the model packages."""
    kms_key_arn: pulumi.Input[str]
    """Key of the environment's buckets and queues."""
    resources: ResourcesArgs
    """What one pod needs."""
    model: NotRequired[ModelArgs]
    """The version to run. Without one (before the first approval) everything but the pods is provisioned."""
    namespace: NotRequired[pulumi.Input[str]]
    """An existing namespace, when patterns of a service share one. Without it, a ServiceNamespace is made."""
    cluster_name: NotRequired[pulumi.Input[str]]
    """EKS cluster that gives the pods their role (Pod Identity). Without it, credentials come some other way."""
    pool: NotRequired[str]
    """ComputePool that the pods run on. Default: anywhere that fits."""
    tags: NotRequired[dict[str, pulumi.Input[str]]]
    """Tags on everything that takes tags."""


@dataclass(frozen=True)
class Workload:
    """A workload whose namespace, service account and role have been made."""

    args: WorkloadArgs
    identity: Identity
    namespace: pulumi.Output[str]
    place: Place
    who: WorkloadIdentity

    @property
    def model(self) -> ModelArgs | None:
        """The version to run, checked; None before the first approval."""
        return require_model(self.args["model"]) if "model" in self.args else None

    def pod(
        self,
        model: ModelArgs,
        variables: Mapping[str, pulumi.Input[str]],
        *,
        image: pulumi.Input[str] | None = None,
        fields: Mapping[str, str] | None = None,
        restart_policy: str = "Always",
        grace_seconds: int = 30,
        scraped: bool = False,
    ) -> Pod:
        """The pod of this workload for `model`."""
        return Pod(
            identity=self.identity,
            image=image if image is not None else self.args["image"],
            service_account=self.who.service_account,
            model=model,
            models_bucket=self.args["models_bucket"],
            region=self.place.region,
            resources=self.args["resources"],
            variables=variables,
            fields=fields or {},
            pool=self.args.get("pool"),
            restart_policy=restart_policy,
            grace_seconds=grace_seconds,
            scraped=scraped,
        )


def start_workload(
    component: pulumi.ComponentResource,
    name: str,
    args: WorkloadArgs,
    part: str,
    grants: Callable[[Place], Sequence[Statement]],
) -> Workload:
    """Makes namespace (unless given), service account and role of the workload `part` of a service.

    The role may read its own model and use the environment's key, and what `grants` adds; nothing else.
    """
    service = require_name("service", args["service"])
    identity = Identity(args["environment"], service, part)
    place = place_of(component)
    namespace = args.get("namespace")
    if namespace is None:
        namespace = ServiceNamespace(
            f"{name}-ns",
            {"environment": identity.environment, "service": service},
            opts=pulumi.ResourceOptions(parent=component),
        ).namespace
    statements = [iam.encrypt(args["kms_key_arn"])]
    if "model" in args:
        statements += iam.read_objects(place.bucket_arn(args["models_bucket"]), f"{args['model']['name']}/")
    known = pulumi.Output.from_input(namespace)
    who = workload_identity(
        name,
        identity,
        known,
        [*statements, *grants(place)],
        place,
        cluster_name=args.get("cluster_name"),
        tags=args.get("tags"),
        parent=component,
    )
    return Workload(args, identity, known, place, who)
