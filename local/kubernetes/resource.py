"""Any Kubernetes object as a Pulumi resource."""

import copy
import time
from typing import Any

from local.kubernetes import checking, drift, identity, sdk_types
from local.kubernetes.cluster import Cluster, Refused
from local.kubernetes.waiting import NotReady, Wait
from local.node import fields
from local.node.objects import Object, annotations_of, section
from local.provider.errors import Failure, InitFailedError, InvalidError, ProviderError
from local.provider.resource import Call, Created, ResourceType
from local.provider.values import UNKNOWN, Props

DELETION = "pulumi.com/deletionPropagationPolicy"
POLICIES = {"foreground": "Foreground", "background": "Background", "orphan": "Orphan"}
NAMESPACE_SECONDS = 10.0
"""How long an object waits for its namespace, which the same program may be making at this moment."""


class KubernetesObject(ResourceType):
    """One kind of object; the kind is known from the type token."""

    def __init__(
        self, cluster: Cluster, api_version: str, kind: str, of: sdk_types.TypeName | None, *, mutable: bool
    ) -> None:
        self._cluster, self._api_version, self._kind, self._type = cluster, api_version, kind, of
        self.replace_on = identity.replace_on(kind, mutable=mutable)

    # what the program wrote ------------------------------------------------------------------------------------------

    def check(self, call: Call, olds: Props, news: Props) -> Props:
        """Name, namespace and types settled; raises InvalidError with everything that is wrong."""
        news = {**news, "apiVersion": self._api_version, "kind": self._kind}
        meta = news.get("metadata")
        if meta is not UNKNOWN and isinstance(meta, dict | None):
            news = identity.named(call, olds, news)
            if not news["metadata"].get("namespace") and self._is_namespaced():
                news["metadata"]["namespace"] = self._cluster.namespace
        found = list(checking.failures(self._type, news)) if self._type is not None else _custom_failures(news)
        if found:
            raise InvalidError([Failure(f.property, f"{self._kind} {call.name}: {f.reason}") for f in found])
        return news

    def _is_namespaced(self) -> bool:
        """Whether it lives in a namespace; no, where the kind is not known yet (its definition may be in this run)."""
        try:
            return self._cluster.is_namespaced(self._api_version, self._kind)
        except Refused as error:
            if error.code != 404 or self._type is not None:
                raise ProviderError(str(error)) from error
            return False

    def delete_before_replace(self, state: Props, new_inputs: Props) -> bool:
        """A name that the program chose cannot be had twice at the same time."""
        same = all(
            section(state, "metadata").get(field) == section(new_inputs, "metadata").get(field)
            for field in ("name", "namespace")
        )
        return same and not identity.is_autonamed(new_inputs)

    def preview(self, _call: Call, inputs: Props, state: Props | None) -> Props:
        """The inputs, over what the object says now."""
        return inputs if state is None else fields.merge({k: v for k, v in state.items() if k != "status"}, inputs)

    # what the cluster does -------------------------------------------------------------------------------------------

    def create(self, call: Call, inputs: Props) -> Created:
        """Apply it (one that is there already is taken over) and wait until it is ready."""
        live = self._apply(call, inputs)
        return Created(identity.id_of(live), self._ready(call, live))

    def update(self, call: Call, resource_id: str, state: Props, old_inputs: Props, new_inputs: Props) -> Props:
        """Apply the change and wait until it is in effect."""
        del resource_id, state, old_inputs
        return self._ready(call, self._apply(call, new_inputs))

    def read(self, call: Call, resource_id: str, state: Props) -> Props | None:
        """The live object; None when it is gone, or going."""
        del call
        live = self._cluster.get(identity.place(self._api_version, self._kind, resource_id))
        if live is None or "deletionTimestamp" in live["metadata"]:
            return None
        return drift.outputs_of(live) | ({"stringData": state["stringData"]} if "stringData" in state else {})

    def inputs_of(self, outputs: Props, old_inputs: Props) -> Props:
        """What is now of the properties that were given."""
        return drift.inputs_of(outputs, old_inputs)

    def delete(self, call: Call, resource_id: str, state: Props) -> None:
        """Delete it and wait until it, and what it owns, is gone."""
        item = identity.place(self._api_version, self._kind, resource_id)
        policy = POLICIES.get(annotations_of(state).get(DELETION, "foreground"), "Foreground")
        live = self._cluster.get(item)
        if live is None:
            return
        self._cluster.delete(item, policy)
        try:
            Wait(self._cluster, live, call).until_gone()
        except NotReady as error:
            raise ProviderError(str(error)) from error

    def _apply(self, call: Call, inputs: Props) -> Object:
        item = copy.deepcopy({k: v for k, v in inputs.items() if not k.startswith("__") and k != "status"})
        begun = time.monotonic()
        while True:
            try:
                return self._cluster.apply(item)
            except Refused as error:
                waits_for_namespace = error.code == 404 and "namespaces" in str(error)
                if not waits_for_namespace or time.monotonic() - begun > NAMESPACE_SECONDS:
                    raise ProviderError(f"{self._kind} {call.name}: the Kubernetes API refused it: {error}") from error
            call.wait(0.1)

    def _ready(self, call: Call, live: Object) -> Props:
        try:
            return drift.outputs_of(Wait(self._cluster, live, call).until_ready())
        except NotReady as error:
            now: Any = self._cluster.get(live) or live
            raise InitFailedError(identity.id_of(live), drift.outputs_of(now), [str(error)]) from error


def _custom_failures(news: Props) -> list[Failure]:
    """A custom resource's own schema is its CRD's; what every object has is checked here."""
    return list(checking.failures(sdk_types.TypeName("meta/v1", "ObjectMetaArgs"), news.get("metadata"), "metadata"))
