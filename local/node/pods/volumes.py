"""Volumes as folders: what a pod mounts, under `<node>/pods/<uid>/volumes/<volume>`."""

import base64
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from local.node.objects import Object, items_of, namespace_of, section
from local.node.pods.images import ContainerProblemError
from local.node.pods.references import field_value
from local.node.store import Store


class Volumes:
    """The volumes of one pod."""

    def __init__(self, store: Store, pod: Object, folder: Path, claims: Path) -> None:
        self._store = store
        self._pod = pod
        self._folder = folder / "volumes"
        self._claims = claims / namespace_of(pod)

    def prepare(self) -> None:
        """Make every folder and fill those that show objects; again, after such an object changed.

        Raises ContainerProblemError when an object that is not optional is missing, or a type is unknown here.
        """
        for volume in items_of(self._pod["spec"], "volumes"):
            folder = self.folder(volume)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            kind = _kind(volume)
            if kind in {"configMap", "secret", "projected", "downwardAPI"}:
                sources = volume[kind].get("sources") or [] if kind == "projected" else [{kind: volume[kind]}]
                self._project(folder, sources)

    def folder(self, volume: Object) -> Path:
        """The folder of a volume. Raises ContainerProblemError for a type that this node does not have."""
        kind = _kind(volume)
        if kind == "persistentVolumeClaim":
            return self._claims / volume[kind]["claimName"]
        if kind not in {"emptyDir", "configMap", "secret", "projected", "downwardAPI"}:
            message = f'volume "{volume["name"]}": {kind} is not supported by the local node'
            raise ContainerProblemError("CreateContainerConfigError", message)
        return self._folder / volume["name"]

    def mounts(self, container: Object) -> list[tuple[str, Path]]:
        """(mount path, folder) of a container, the deepest first."""
        volumes = {v["name"]: v for v in items_of(self._pod["spec"], "volumes")}
        found = [
            (mount["mountPath"].rstrip("/"), self.folder(volumes[mount["name"]]) / mount.get("subPath", ""))
            for mount in items_of(container, "volumeMounts")
        ]
        return sorted(found, key=lambda m: len(m[0]), reverse=True)

    def shows(self, kind: str, name: str) -> bool:
        """Whether one of the volumes shows this ConfigMap or Secret."""
        for volume in items_of(self._pod["spec"], "volumes"):
            sources = [volume, *items_of(volume.get("projected", {}), "sources")]
            for source in sources:
                part = section(source, "configMap" if kind == "ConfigMap" else "secret")
                if name in {part.get("name"), part.get("secretName")}:
                    return True
        return False

    def remove(self) -> None:
        """Forget everything but claims."""
        shutil.rmtree(self._folder.parent, ignore_errors=True)

    def _project(self, folder: Path, sources: list[Object]) -> None:
        wanted: dict[str, tuple[bytes, bool]] = {}
        for source in sources:
            wanted |= self._files(source)
        for name, (content, secret) in wanted.items():
            path = folder / name
            if not path.resolve().is_relative_to(folder.resolve()):
                raise ContainerProblemError("CreateContainerConfigError", f"path {name} leaves its volume")
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f".{path.name}.new")
            new.touch(mode=0o600 if secret else 0o644)
            new.write_bytes(content)
            new.replace(path)
        for path in [p for p in folder.rglob("*") if p.is_file() and p.relative_to(folder).as_posix() not in wanted]:
            path.unlink()

    def _files(self, source: Object) -> dict[str, tuple[bytes, bool]]:
        """Relative path: (content, whether secret) of one source."""
        kind = next(iter(source))
        part: Object = source[kind]
        if kind == "downwardAPI":
            items: list[Object] = items_of(part, "items")
            return {i["path"]: (field_value(self._pod, i["fieldRef"]["fieldPath"]).encode(), False) for i in items}
        if kind not in {"configMap", "secret"}:
            message = f"projected volume source {kind} is not supported by the local node"
            raise ContainerProblemError("CreateContainerConfigError", message)
        secret = kind == "secret"
        name = part.get("name") or part.get("secretName") or ""
        kept = self._store.find(
            self._store.kind("v1", "Secret" if secret else "ConfigMap"), namespace_of(self._pod), name
        )
        if kept is None:
            if part.get("optional"):
                return {}
            message = f'{"secret" if secret else "configmap"} "{name}" not found'
            raise ContainerProblemError("CreateContainerConfigError", message)
        content = contents(kept)
        if not part.get("items"):
            return {key: (value, secret) for key, value in content.items()}
        chosen: dict[str, tuple[bytes, bool]] = {}
        for item in part["items"]:
            if item["key"] in content:
                chosen[item["path"]] = (content[item["key"]], secret)
            elif not part.get("optional"):
                message = f'references non-existent key "{item["key"]}" of {kind} "{name}"'
                raise ContainerProblemError("CreateContainerConfigError", message)
        return chosen


def contents(item: Object) -> dict[str, bytes]:
    """The keys and values of a ConfigMap or Secret."""
    data: dict[str, str] = section(item, "data")
    binary: dict[str, str] = section(item, "binaryData")
    if item["kind"] == "Secret":
        data, binary = {}, data
    decoded = {key: base64.b64decode(value) for key, value in binary.items()}
    return {key: value.encode() for key, value in data.items()} | decoded


def rewrite(value: str, mounts: list[tuple[str, Path]]) -> str:
    """A value that is a mount path, or a path below one, as the path it has on this machine."""
    for mount_path, folder in mounts:
        if mount_path and (value == mount_path or value.startswith(f"{mount_path}/")):
            return str(folder / str(PurePosixPath(value).relative_to(mount_path)))
    return value


def _kind(volume: dict[str, Any]) -> str:
    return next((k for k in volume if k != "name"), "emptyDir")
