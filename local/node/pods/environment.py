"""The environment variables of a container: its spec's, and what a pod without a network of its own needs."""

import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from local.node.objects import Object, items_of, name_of, namespace_of
from local.node.pods.images import ContainerProblemError
from local.node.pods.references import field_value, resource_value
from local.node.pods.volumes import contents, rewrite
from local.node.store import Store

INHERITED = ("LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What a container gets from the daemon's own environment. Credentials are not among it."""
REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_.-][A-Za-z0-9_.-]*)\)")
MARKER = "LOCAL_NODE_FOLDER"
"""Set in every container to the node's folder: how processes that outlived their daemon are found."""


def build(
    store: Store,
    pod: Object,
    container: Object,
    mounts: list[tuple[str, Path]],
    ports: Mapping[str, int],
    home: Path,
    added: Mapping[str, str],
) -> dict[str, str]:
    """All variables of one container. Raises ContainerProblemError when a reference cannot be resolved."""
    found = dict(_from_sources(store, pod, container))
    for variable in items_of(container, "env"):
        value = _value(store, pod, container, variable)
        if value is not None:
            found[variable["name"]] = expand(value, found)
    found = {name: rewrite(value, mounts) for name, value in found.items()}
    for name, port in ports.items():
        found[f"SLIPWAY_{name.upper().replace('-', '_')}_PORT"] = str(port)
    temporary = next((folder for path, folder in mounts if path == "/tmp"), home)  # noqa: S108 (a mount path)
    base = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "HOME": str(home),
        "HOSTNAME": name_of(pod),
        "TMPDIR": str(temporary),
        "PYTHONUNBUFFERED": "1",
        **{name: os.environ[name] for name in INHERITED if name in os.environ},
    }
    return {**base, **found, "SLIPWAY_BIND": "127.0.0.1", **added}


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`$(NAME)` replaced by the variable's value; `$$` is a dollar; an unknown name stays as it is written."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[1] is None else variables.get(found[1], found[0])

    return REFERENCE.sub(value, text)


def _from_sources(store: Store, pod: Object, container: Object) -> dict[str, str]:
    found: dict[str, str] = {}
    for source in items_of(container, "envFrom"):
        kind, reference = ("ConfigMap", "configMapRef") if "configMapRef" in source else ("Secret", "secretRef")
        kept = _object(store, pod, kind, source.get(reference) or {})
        values = contents(kept) if kept else {}
        found |= {source.get("prefix", "") + key: value.decode(errors="replace") for key, value in values.items()}
    return found


def _value(store: Store, pod: Object, container: Object, variable: Object) -> str | None:
    source: Object | None = variable.get("valueFrom")
    if source is None:
        return variable.get("value", "")
    readers: dict[str, Callable[[Object], str | None]] = {
        "fieldRef": lambda r: field_value(pod, r["fieldPath"]),
        "resourceFieldRef": lambda r: resource_value(container, r),
        "configMapKeyRef": lambda r: _key(store, pod, "ConfigMap", r),
        "secretKeyRef": lambda r: _key(store, pod, "Secret", r),
    }
    for kind, read in readers.items():
        if kind in source:
            return read(source[kind])
    message = f"env {variable['name']}: valueFrom {next(iter(source), '')} is not supported by the local node"
    raise ContainerProblemError("CreateContainerConfigError", message)


def _object(store: Store, pod: Object, kind: str, reference: Object) -> Object | None:
    found = store.find(store.kind("v1", kind), namespace_of(pod), reference.get("name", ""))
    if found is None and not reference.get("optional"):
        raise ContainerProblemError("CreateContainerConfigError", f'{kind.lower()} "{reference.get("name")}" not found')
    return found


def _key(store: Store, pod: Object, kind: str, reference: Object) -> str | None:
    kept = _object(store, pod, kind, reference)
    values = contents(kept) if kept else {}
    if reference["key"] in values:
        return values[reference["key"]].decode(errors="replace")
    if reference.get("optional"):
        return None
    message = f"couldn't find key {reference['key']} in {kind} {namespace_of(pod)}/{reference.get('name')}"
    raise ContainerProblemError("CreateContainerConfigError", message)
