"""Which object a resource is: names, namespaces, ids, and what cannot change without another object."""

import random
from collections.abc import Mapping

from local.node.objects import Object, section
from local.provider.resource import Call
from local.provider.values import UNKNOWN, Props

AUTONAMED = "pulumi.com/autonamed"
SUFFIX = "0123456789abcdef"

REPLACE_ON: Mapping[str, tuple[str, ...]] = {
    "Deployment": ("spec.selector",),
    "ReplicaSet": ("spec.selector",),
    "DaemonSet": ("spec.selector",),
    "StatefulSet": ("spec.selector", "spec.serviceName", "spec.podManagementPolicy", "spec.volumeClaimTemplates"),
    "Job": ("spec.selector", "spec.template", "spec.completions", "spec.completionMode", "spec.backoffLimitPerIndex"),
    "Pod": ("spec",),
    "Service": ("spec.clusterIP", "spec.clusterIPs"),
    "PersistentVolumeClaim": ("spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"),
    "RoleBinding": ("roleRef",),
    "ClusterRoleBinding": ("roleRef",),
    "StorageClass": ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode", "mountOptions"),
    "PriorityClass": ("value", "preemptionPolicy"),
    "Secret": ("type",),
}
ALWAYS = ("metadata.name", "metadata.namespace", "kind")
CONTENT: Mapping[str, tuple[str, ...]] = {
    # The official provider makes a new one by default, so that pods that read them are rolled (their names change).
    "ConfigMap": ("data", "binaryData", "immutable"),
    "Secret": ("data", "stringData", "immutable"),
}


def replace_on(kind: str, *, mutable: bool) -> tuple[str, ...]:
    """The properties that only a new object can have. `mutable`: the content of a ConfigMap or Secret may change."""
    content = () if mutable else CONTENT.get(kind, ())
    return (*ALWAYS, *REPLACE_ON.get(kind, ()), *content)


def named(call: Call, olds: Props, news: Props) -> Props:
    """The inputs with a name: the given one, the one it had, or one made from the resource's and random digits."""
    meta: Object = dict(section(news, "metadata"))
    if not meta.get("name") and not meta.get("generateName"):
        before: Object = section(olds, "metadata")
        annotations = section(before, "annotations")
        if annotations.get(AUTONAMED) == "true" and before.get("name"):
            meta["name"] = before["name"]
        else:
            digits = random.Random(call.seed or None).choices(SUFFIX, k=8)  # noqa: S311 (a name, not a secret)
            meta["name"] = f"{call.name.lower()}-{''.join(digits)}"
        if meta.get("annotations") is not UNKNOWN:
            meta["annotations"] = {**section(meta, "annotations"), AUTONAMED: "true"}
    return {**news, "metadata": meta}


def is_autonamed(item: Props) -> bool:
    """Whether the name was made up."""
    annotations = section(section(item, "metadata"), "annotations")
    return annotations is not UNKNOWN and annotations.get(AUTONAMED) == "true"


def id_of(item: Object) -> str:
    """A resource's id: `namespace/name`, or the name alone."""
    namespace = item["metadata"].get("namespace")
    return f"{namespace}/{item['metadata']['name']}" if namespace else item["metadata"]["name"]


def place(api_version: str, kind: str, resource_id: str) -> Object:
    """The identity that an id stands for."""
    namespace, _, name = resource_id.rpartition("/")
    meta: Object = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": meta}
