"""The Kubernetes namespace of one service: everything in it is restricted, and nothing gets in unless allowed."""

from typing import TypedDict

import pulumi
import pulumi_kubernetes as k8s

from components.naming import require_name


class ServiceNamespaceArgs(TypedDict):
    """What a ServiceNamespace is given."""

    environment: str
    """Environment name; a label."""
    service: str
    """Service name; the namespace is `slipway-<service>`."""


class ServiceNamespace(pulumi.ComponentResource):
    """A namespace that enforces the restricted Pod Security Standard and denies traffic that no policy allows."""

    namespace: pulumi.Output[str]
    """Name of the namespace, known once the default denial is in force."""

    def __init__(self, name: str, args: ServiceNamespaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:index:ServiceNamespace", name, {**args}, opts)
        labels = {
            "app.kubernetes.io/name": args["service"],
            "app.kubernetes.io/part-of": "slipway",
            "app.kubernetes.io/managed-by": "pulumi",
            "slipway.dev/environment": args["environment"],
        }
        made = k8s.core.v1.Namespace(
            f"{name}-namespace",
            metadata={"name": namespace_name(args["service"]), "labels": {**labels, **NAMESPACE_LABELS}},
            opts=pulumi.ResourceOptions(parent=self),
        )
        denial = k8s.networking.v1.NetworkPolicy(
            f"{name}-default-deny",
            metadata={"name": "default-deny", "namespace": made.metadata.name, "labels": labels},
            spec={"pod_selector": {}, "policy_types": ["Ingress", "Egress"]},
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.namespace = pulumi.Output.all(made.metadata, denial.urn).apply(lambda _: namespace_name(args["service"]))
        self.register_outputs({"namespace": self.namespace})


NAMESPACE_LABELS = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/warn": "restricted",
    # A new pod behind a load balancer counts as ready only when its target is healthy there, so that a rolling update
    # does not run ahead of the load balancer (AWS Load Balancer Controller, pod readiness gate).
    "elbv2.k8s.aws/pod-readiness-gate-inject": "enabled",
}


def namespace_name(service: str) -> str:
    """Namespace of a service."""
    return f"slipway-{require_name('service', service)}"
