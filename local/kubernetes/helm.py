"""`helm.sh/v3:Release` on the local node: the release is written down as Helm does, and its chart is not installed.

A chart lies in a repository somewhere else, and what it would install (controllers) has nothing to do on one machine.
So a release here is the Secret that Helm keeps of it, with the chart, version and values that were asked for.
"""

import base64
import json
from typing import Any

from local.kubernetes import checking, sdk_types
from local.kubernetes.cluster import Cluster, Refused
from local.node.objects import Object, section
from local.provider.errors import Failure, InvalidError, ProviderError
from local.provider.resource import Call, Created, ResourceType
from local.provider.values import UNKNOWN, Props

SECRET_TYPE = "helm.sh/release.v1"  # noqa: S105 - a kind of Secret
INPUTS = sdk_types.TypeName("helm.sh/v3", "ReleaseArgs")


class HelmRelease(ResourceType):
    """A Helm release that is only stored."""

    replace_on = ("name", "namespace")

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def check(self, call: Call, olds: Props, news: Props) -> Props:
        """Name and namespace settled; raises InvalidError with everything that is wrong."""
        found = [Failure(f.property, f"Release {call.name}: {f.reason}") for f in checking.failures(INPUTS, news)]
        if found:
            raise InvalidError(found)
        return {"name": olds.get("name") or call.name, "namespace": self._cluster.namespace} | news

    def delete_before_replace(self, state: Props, new_inputs: Props) -> bool:
        """Two releases of a name cannot be in one namespace."""
        return all(state.get(key) == new_inputs.get(key) for key in ("name", "namespace"))

    def create(self, call: Call, inputs: Props) -> Created:
        """Write it down; raises ProviderError on a cluster that a chart could be installed in."""
        return Created(f"{inputs['namespace']}/{inputs['name']}", self._write(call, inputs))

    def update(self, call: Call, resource_id: str, state: Props, old_inputs: Props, new_inputs: Props) -> Props:
        """Write it down anew."""
        del resource_id, state, old_inputs
        return self._write(call, new_inputs)

    def read(self, call: Call, resource_id: str, state: Props) -> Props | None:
        """What was written down; None when it is gone."""
        del call, state
        found = self._cluster.get(_secret(resource_id))
        return None if found is None else _outputs(json.loads(base64.b64decode(section(found, "data")["release"])))

    def inputs_of(self, outputs: Props, old_inputs: Props) -> Props:
        """All but the status."""
        del old_inputs
        return {name: value for name, value in outputs.items() if name != "status"}

    def delete(self, call: Call, resource_id: str, state: Props) -> None:
        """Forget it. The namespace stays, as with Helm."""
        del call, state
        self._cluster.delete(_secret(resource_id), "Background")

    def _write(self, call: Call, inputs: Props) -> Props:
        if not self._cluster.is_local:
            raise ProviderError(
                f"Release {call.name}: charts are installed by the official kubernetes plugin only; "
                "install it with helm, or write the objects themselves"
            )
        known = {name: value for name, value in inputs.items() if not name.startswith("__") and value is not UNKNOWN}
        namespace: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": inputs["namespace"]}}
        content = base64.b64encode(json.dumps(known).encode()).decode()
        try:
            if inputs.get("createNamespace") and self._cluster.get(namespace) is None:
                self._cluster.apply(namespace)
            self._cluster.apply(
                {
                    **_secret(f"{inputs['namespace']}/{inputs['name']}"),
                    "type": SECRET_TYPE,
                    "data": {"release": content},
                }
            )
        except Refused as error:
            raise ProviderError(f"Release {call.name}: the Kubernetes API refused it: {error}") from error
        call.warn(f"the chart {inputs['chart']} is not installed on this machine: the release is only written down")
        return _outputs(known)


def _secret(resource_id: str) -> Object:
    namespace, _, name = resource_id.partition("/")
    meta: dict[str, Any] = {"name": f"sh.helm.release.v1.{name}.v1", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta | {"labels": {"owner": "helm", "name": name}}}


def _outputs(inputs: Props) -> Props:
    status = {
        "name": inputs["name"],
        "namespace": inputs["namespace"],
        "chart": inputs["chart"],
        "version": inputs.get("version"),
        "revision": 1,
        "status": "deployed",
    }
    return {**inputs, "status": status}
