"""The `kubernetes` provider: pulumi-kubernetes' tokens on any Kubernetes API."""

import difflib
import os
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from local.kubernetes import sdk_types
from local.kubernetes.cluster import Cluster
from local.kubernetes.helm import HelmRelease
from local.kubernetes.resource import KubernetesObject
from local.provider.errors import Failure, InvalidError, UnknownTypeError
from local.provider.resource import Provider, ResourceType
from local.provider.values import Props

ACCEPTED = {
    "cluster": False,
    "context": True,
    "deleteUnreachable": False,
    "enableConfigMapMutable": True,
    "enablePatchForce": True,
    "enableSecretMutable": True,
    "enableServerSideApply": True,
    "kubeconfig": True,
    "namespace": True,
    "skipUpdateUnreachable": False,
    "suppressDeprecationWarnings": True,
    "suppressHelmHookWarnings": True,
    "upsertExistingObjects": True,
    "version": True,
}
"""The provider's arguments, and whether this plugin honours them (or they change nothing here)."""
NOT_OBJECTS = {"yaml", "helm.sh", "kustomize"}
CORE = "core/v1"


class KubernetesProvider(Provider):
    """Objects of every kind; one API for each configuration."""

    name = "kubernetes"
    version = version("pulumi-kubernetes")

    def __init__(self) -> None:
        self._config: Props = {}
        self._cluster = Cluster()

    def check_config(self, news: Props) -> Props:
        """The provider's arguments; raises InvalidError for one that would be ignored in silence."""
        refused = [
            Failure(name, f"kubernetes provider: {name} is not supported on this machine")
            for name in news
            if not ACCEPTED.get(name, False) and not name.startswith("__")
        ]
        if news.get("enableServerSideApply") in {False, "false"}:
            reason = (
                "kubernetes provider: enableServerSideApply cannot be false: server-side apply is all this one does"
            )
            refused.append(Failure("enableServerSideApply", reason))
        if refused:
            raise InvalidError(refused)
        return news

    def configure(self, config: Props) -> None:
        """Use this kubeconfig (content or path; the environment's when none is given), context and namespace."""
        self._config = config
        self._cluster = Cluster(config.get("kubeconfig"), config.get("context"), config.get("namespace"))

    def close(self) -> None:
        """End the connections to the API."""
        self._cluster.close()

    def resource_type(self, token: str) -> ResourceType:
        """The kind that a token names. Raises UnknownTypeError."""
        _, module, kind = token.split(":")
        if (module, kind) == ("helm.sh/v3", "Release"):
            return HelmRelease(self._cluster)
        if module.partition("/")[0] in NOT_OBJECTS or kind.endswith(("Patch", "List")):
            raise UnknownTypeError(f"{token} is not supported on this machine: write the objects themselves")
        of = sdk_types.resource_type(module, kind)
        if of is None and _is_builtin(module):
            raise UnknownTypeError(
                f"{token} is not a type of pulumi-kubernetes {self.version}{_suggestion(module, kind)}"
            )
        api_version = "v1" if module == CORE else module
        return KubernetesObject(self._cluster, api_version, kind, of, mutable=self._is_mutable(kind))

    def invoke(self, token: str, args: Mapping[str, Any]) -> Props:
        """There are no functions. Raises UnknownTypeError."""
        del args
        raise UnknownTypeError(f"function {token} is not supported on this machine")

    def _is_mutable(self, kind: str) -> bool:
        name = {"ConfigMap": "enableConfigMapMutable", "Secret": "enableSecretMutable"}.get(kind, "")
        variable = {"ConfigMap": "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE", "Secret": "PULUMI_K8S_ENABLE_SECRET_MUTABLE"}
        given = self._config.get(name, os.environ.get(variable.get(kind, ""), ""))
        return str(given).lower() == "true"


def _is_builtin(module: str) -> bool:
    """Whether a group is Kubernetes' own, so that the SDK would have its kinds."""
    group = module.partition("/")[0]
    return "." not in group or group.endswith(".k8s.io")


def _suggestion(module: str, kind: str) -> str:
    modules = sdk_types.resource_modules()
    elsewhere = [f"{m}:{k}" for m, kinds in modules.items() for k in kinds if k == kind]
    near = elsewhere or difflib.get_close_matches(kind, modules.get(module.partition(".")[0], []), n=1)
    return f"; did you mean {near[0]}?" if near else ""
