"""The kinds this node knows: where the API serves them, and whether something acts on them or they are only kept."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from local.node.objects import Object, name_of

VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


@dataclass(frozen=True)
class Kind:
    """One kind of object and its place in the API."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    stored_only: bool = True
    """Nothing on this node acts on it: it is kept, and `slipway status` says so."""
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ("status",)

    @property
    def api_version(self) -> str:
        """apiVersion of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """Its name in messages: `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified(self) -> str:
        """Its kind in messages: `Deployment.apps`."""
        return f"{self.kind}.{self.group}" if self.group else self.kind


def _acted_on() -> Iterator[Kind]:
    scale = ("status", "scale")
    yield Kind("", "v1", "Namespace", "namespaces", namespaced=False, stored_only=False, short=("ns",))
    yield Kind("", "v1", "Node", "nodes", namespaced=False, stored_only=False, short=("no",))
    yield Kind("", "v1", "Pod", "pods", stored_only=False, short=("po",), subresources=("status", "log", "proxy"))
    yield Kind("", "v1", "Service", "services", stored_only=False, short=("svc",))
    yield Kind("", "v1", "ConfigMap", "configmaps", stored_only=False, short=("cm",), subresources=())
    yield Kind("", "v1", "Secret", "secrets", stored_only=False, subresources=())
    yield Kind("", "v1", "ServiceAccount", "serviceaccounts", stored_only=False, short=("sa",), subresources=())
    yield Kind("", "v1", "Event", "events", stored_only=False, short=("ev",), subresources=())
    yield Kind("apps", "v1", "Deployment", "deployments", stored_only=False, short=("deploy",), subresources=scale)
    yield Kind("apps", "v1", "ReplicaSet", "replicasets", stored_only=False, short=("rs",), subresources=scale)
    yield Kind("batch", "v1", "Job", "jobs", stored_only=False)
    yield Kind("batch", "v1", "CronJob", "cronjobs", stored_only=False, short=("cj",))
    yield Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", stored_only=False, subresources=())


STORED: dict[str, tuple[tuple[str, str, bool], ...]] = {
    # apiVersion: (kind, plural, namespaced)
    "v1": (
        ("PersistentVolumeClaim", "persistentvolumeclaims", True),
        ("PersistentVolume", "persistentvolumes", False),
        ("ResourceQuota", "resourcequotas", True),
        ("LimitRange", "limitranges", True),
    ),
    "apps/v1": (("StatefulSet", "statefulsets", True), ("DaemonSet", "daemonsets", True)),
    "autoscaling/v2": (("HorizontalPodAutoscaler", "horizontalpodautoscalers", True),),
    "policy/v1": (("PodDisruptionBudget", "poddisruptionbudgets", True),),
    "networking.k8s.io/v1": (
        ("NetworkPolicy", "networkpolicies", True),
        ("Ingress", "ingresses", True),
        ("IngressClass", "ingressclasses", False),
    ),
    "rbac.authorization.k8s.io/v1": (
        ("Role", "roles", True),
        ("RoleBinding", "rolebindings", True),
        ("ClusterRole", "clusterroles", False),
        ("ClusterRoleBinding", "clusterrolebindings", False),
    ),
    "scheduling.k8s.io/v1": (("PriorityClass", "priorityclasses", False),),
    "storage.k8s.io/v1": (("StorageClass", "storageclasses", False),),
    "apiextensions.k8s.io/v1": (("CustomResourceDefinition", "customresourcedefinitions", False),),
    # what the components provision through controllers that a real cluster runs
    "karpenter.sh/v1": (("NodePool", "nodepools", False), ("NodeClaim", "nodeclaims", False)),
    "karpenter.k8s.aws/v1": (("EC2NodeClass", "ec2nodeclasses", False),),
    "eks.amazonaws.com/v1": (
        ("NodeClass", "nodeclasses", False),
        ("IngressClassParams", "ingressclassparams", False),
        ("TargetGroupBinding", "targetgroupbindings", True),
    ),
    "elbv2.k8s.aws/v1beta1": (
        ("TargetGroupBinding", "targetgroupbindings", True),
        ("IngressClassParams", "ingressclassparams", False),
    ),
    "external-secrets.io/v1": (
        ("SecretStore", "secretstores", True),
        ("ExternalSecret", "externalsecrets", True),
    ),
    "keda.sh/v1alpha1": (
        ("ScaledObject", "scaledobjects", True),
        ("ScaledJob", "scaledjobs", True),
        ("TriggerAuthentication", "triggerauthentications", True),
        ("ClusterTriggerAuthentication", "clustertriggerauthentications", False),
    ),
    "monitoring.coreos.com/v1": (
        ("ServiceMonitor", "servicemonitors", True),
        ("PodMonitor", "podmonitors", True),
        ("PrometheusRule", "prometheusrules", True),
    ),
}


def _stored() -> Iterator[Kind]:
    for api_version, entries in STORED.items():
        group, _, version = api_version.rpartition("/")
        for kind, plural, namespaced in entries:
            yield Kind(group, version, kind, plural, namespaced)


class Kinds:
    """All known kinds; a CustomResourceDefinition that is created adds its own."""

    def __init__(self, kinds: Iterable[Kind] = (*_acted_on(), *_stored())) -> None:
        self._by_resource = {(k.group, k.version, k.plural): k for k in kinds}
        self._by_kind = {(k.api_version, k.kind): k for k in self._by_resource.values()}

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._by_resource.values())

    def by_resource(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind that the API serves at this place."""
        return self._by_resource.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> Kind | None:
        """The kind that an object names."""
        return self._by_kind.get((api_version, kind))

    def define(self, crd: Object) -> None:
        """Learn the kinds of a CustomResourceDefinition; a malformed one teaches nothing."""
        spec = crd.get("spec", {})
        names = spec.get("names", {})
        for version in spec.get("versions", []):
            if {"kind", "plural"} <= names.keys() and name_of(crd) == f"{names['plural']}.{spec.get('group')}":
                namespaced = spec.get("scope") == "Namespaced"
                kind = Kind(spec["group"], version["name"], names["kind"], names["plural"], namespaced)
                self._by_resource.setdefault((kind.group, kind.version, kind.plural), kind)
                self._by_kind.setdefault((kind.api_version, kind.kind), kind)


def discovery(kinds: Kinds, path: list[str]) -> Object | None:
    """The discovery documents under `/api` and `/apis`; None where there is none."""
    match path:
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        case ["apis"]:
            groups = sorted({k.group for k in kinds if k.group})
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(kinds, g) for g in groups]}
        case ["apis", group] if any(k.group == group for k in kinds):
            return {"apiVersion": "v1", **_group(kinds, group)}
        case ["api", version]:
            return _resources(kinds, "", version)
        case ["apis", group, version]:
            return _resources(kinds, group, version)
        case _:
            return None


def _group(kinds: Kinds, group: str) -> Object:
    versions = sorted({k.version for k in kinds if k.group == group})
    listed = [{"groupVersion": f"{group}/{v}", "version": v} for v in versions]
    return {"kind": "APIGroup", "name": group, "versions": listed, "preferredVersion": listed[0]}


def _resources(kinds: Kinds, group: str, version: str) -> Object | None:
    served = [k for k in kinds if (k.group, k.version) == (group, version)]
    if not served:
        return None
    resources: list[Object] = []
    for kind in served:
        entry: Object = {
            "name": kind.plural,
            "singularName": kind.kind.lower(),
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": VERBS,
            "shortNames": list(kind.short),
        }
        resources.append(entry)
        resources += [
            {**entry, "name": f"{kind.plural}/{sub}", "verbs": ["get", "patch", "update"], "shortNames": []}
            for sub in kind.subresources
        ]
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}
