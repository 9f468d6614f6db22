"""Create, replace, patch, apply and delete: what an API server does with an object before and after it is stored."""

import copy
import secrets
from typing import cast

from local.node import defaults, patches, validation
from local.node.errors import ApiError, bad_request, conflict, forbidden, invalid, not_found
from local.node.kinds import Kind
from local.node.objects import Object, is_deleting, name_of, namespace_of, section
from local.node.store import Store

FOREGROUND = "foregroundDeletion"
SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
SERVER_SET = ("uid", "creationTimestamp", "generation", "resourceVersion", "deletionTimestamp",
              "deletionGracePeriodSeconds", "managedFields")  # fmt: skip


def random_suffix() -> str:
    """Five characters that make a generated name unique, from Kubernetes' own alphabet (no vowels: no words)."""
    return "".join(secrets.choice(SUFFIX) for _ in range(5))


class Resources:
    """The verbs of the API on the store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def create(
        self, kind: Kind, namespace: str, item: Object, manager: str = "unknown", *, dry: bool = False
    ) -> Object:
        """POST. Raises ApiError 404 (namespace), 409, 422."""
        item = self._named(kind, namespace, item)
        for field in SERVER_SET:
            item["metadata"].pop(field, None)
        self._admit(kind, item)
        item = patches.updated(None, item, manager)
        return self._created(kind, item, dry=dry)

    def replace(
        self, kind: Kind, namespace: str, name: str, item: Object, manager: str, *, dry: bool = False
    ) -> Object:
        """PUT. Raises ApiError 404, 409 (resourceVersion), 422."""
        before = self.store.get(kind, namespace, name)
        item = self._named(kind, namespace, item)
        if name_of(item) != name:
            raise bad_request(f"the name of the object ({name_of(item)}) does not match the name in the URL ({name})")
        return self._updated(kind, before, item, manager, dry=dry)

    def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Object,
        content_type: str,
        manager: str,
        *,
        dry: bool = False,
    ) -> Object:
        """PATCH with a merge patch or a strategic merge patch. Raises ApiError 404, 409, 422."""
        before = self.store.get(kind, namespace, name)
        return self._updated(kind, before, patches.patched(before, patch, content_type), manager, dry=dry)

    def apply(
        self, kind: Kind, namespace: str, name: str, wanted: Object, manager: str, *, force: bool, dry: bool = False
    ) -> Object:
        """PATCH by server-side apply: creates or changes. Raises ApiError 409 (fields of others), 422."""
        wanted = self._named(kind, namespace, wanted)
        if name_of(wanted) != name:
            raise bad_request(f"the name of the object ({name_of(wanted)}) does not match the name in the URL ({name})")
        for field in SERVER_SET:
            wanted["metadata"].pop(field, None)
        wanted.pop("status", None)
        before = self.store.find(kind, namespace, name)
        item = patches.applied(before, wanted, manager, force=force)
        if before is None:
            self._admit(kind, item)
            return self._created(kind, item, dry=dry)
        return self._stored(kind, before, item, dry=dry)

    def set_status(self, kind: Kind, namespace: str, name: str, status: Object) -> Object:
        """PUT or PATCH of the status subresource (the whole new status)."""

        def mutate(item: Object) -> None:
            item["status"] = status

        changed = self.store.change(kind, namespace, name, mutate)
        if changed is None:
            raise not_found(kind.resource, name)
        return changed

    def delete(
        self, kind: Kind, namespace: str, name: str, options: Object | None = None, *, dry: bool = False
    ) -> Object:
        """DELETE with propagationPolicy, gracePeriodSeconds and preconditions. Raises ApiError 404, 409."""
        options = options or {}
        item = self.store.get(kind, namespace, name)
        wanted_uid = section(options, "preconditions").get("uid")
        if wanted_uid is not None and wanted_uid != item["metadata"]["uid"]:
            raise conflict(kind.resource, name, f"the UID is {item['metadata']['uid']}, not {wanted_uid}")
        if dry:
            return item
        policy = options.get("propagationPolicy") or "Background"
        finalizer = {"Foreground": FOREGROUND, "Orphan": "orphan"}.get(policy)
        if kind.kind == "Namespace":
            finalizer = "kubernetes"
        if finalizer is not None:
            self.store.change(kind, namespace, name, lambda copied: _add_finalizer(copied, finalizer))
        grace = 0
        if kind.kind == "Pod":
            asked = options.get("gracePeriodSeconds")
            grace = item["spec"].get("terminationGracePeriodSeconds", 30) if asked is None else asked
            # The node itself takes a pod away when its processes are gone, so there is always something to wait for.
            grace = max(int(grace), 1)
        return self.store.delete(kind, namespace, name, grace=grace)

    def _named(self, kind: Kind, namespace: str, item: Object) -> Object:
        """A copy of what was sent, with name and namespace settled. Raises ApiError 400."""
        item = copy.deepcopy(item)
        found = (item.get("apiVersion", kind.api_version), item.get("kind", kind.kind))
        if found != (kind.api_version, kind.kind):
            raise bad_request(f"expected {kind.api_version} {kind.kind}, got {found[0]} {found[1]}")
        item["apiVersion"], item["kind"] = kind.api_version, kind.kind
        meta = item.setdefault("metadata", {})
        if not isinstance(meta, dict):
            raise bad_request("metadata must be an object")
        meta = cast("Object", meta)
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + random_suffix()
        if meta.get("namespace", namespace) != namespace:
            raise bad_request(
                f'the namespace of the object ({meta["namespace"]}) does not match the URL ("{namespace}")'
            )
        if namespace:
            meta["namespace"] = namespace
        meta.setdefault("name", "")
        return item

    def _admit(self, kind: Kind, item: Object) -> None:
        """What surrounds a new object must allow it. Raises ApiError 403, 404."""
        namespace, name = namespace_of(item), name_of(item)
        if not kind.namespaced:
            return
        home = self.store.find(self.store.kind("v1", "Namespace"), "", namespace)
        if home is None:
            raise not_found("namespaces", namespace)
        if is_deleting(home):
            raise forbidden(kind.resource, name, f"namespace {namespace} is being terminated")
        if kind.kind == "Pod":
            account = section(item, "spec").get("serviceAccountName") or "default"
            if self.store.find(self.store.kind("v1", "ServiceAccount"), namespace, account) is None:
                raise forbidden(kind.resource, name, f'service account "{account}" not found in {namespace}')

    def _created(self, kind: Kind, item: Object, *, dry: bool) -> Object:
        defaults.fill_in(item)
        self._check(kind, item, None)
        return item if dry else self.store.create(kind, item)

    def _updated(self, kind: Kind, before: Object, item: Object, manager: str, *, dry: bool) -> Object:
        sent = item["metadata"].get("resourceVersion")
        if sent is not None and sent != before["metadata"]["resourceVersion"]:
            why = "the object has been modified; please apply your changes to the latest version and try again"
            raise conflict(kind.resource, name_of(before), why)
        for field in SERVER_SET:
            if field in before["metadata"]:
                item["metadata"][field] = before["metadata"][field]
        return self._stored(kind, before, patches.updated(before, item, manager), dry=dry)

    def _stored(self, kind: Kind, before: Object, item: Object, *, dry: bool) -> Object:
        defaults.fill_in(item)
        if "status" in kind.subresources:
            item.pop("status", None)
            if "status" in before:
                item["status"] = before["status"]
        self._check(kind, item, before)
        if dry:
            return item

        def mutate(copied: Object) -> None:
            copied.clear()
            copied.update(item)

        changed = self.store.change(kind, namespace_of(before), name_of(before), mutate)
        if changed is None:
            raise not_found(kind.resource, name_of(before))
        return changed

    def _check(self, kind: Kind, item: Object, before: Object | None) -> None:
        causes = validation.causes_against(item, before)
        if causes:
            raise invalid(kind.qualified, item["metadata"].get("name", ""), causes)


def _add_finalizer(item: Object, finalizer: str) -> None:
    finalizers = item["metadata"].setdefault("finalizers", [])
    if finalizer not in finalizers:
        finalizers.append(finalizer)


def unsupported(content_type: str) -> ApiError:
    """415: a patch of a kind that is not spoken here."""
    known = f"{patches.APPLY}, {patches.MERGE}, {patches.STRATEGIC}"
    return ApiError(415, "UnsupportedMediaType", f"{content_type} is not supported; use one of {known}")
