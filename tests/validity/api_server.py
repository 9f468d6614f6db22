"""A real API server, as far as a strict server-side dry run of our objects needs it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from lightkube.config.client_adapter import Client, ConnectionParams
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ConfigError
from ruamel.yaml import YAML
from validity.fetch_schemas import CUSTOM_RESOURCES, module
from validity.strict import identity

OURS = {"slipway.dev/dry-run": "true"}
"""Label of what a dry run has to make for real, and takes away again."""


class ApiServer:
    """The server of `KUBECONFIG`."""

    def __init__(self) -> None:
        try:
            config = KubeConfig.from_env().get()
        except ConfigError as error:
            pytest.exit(f"make test-cluster: KUBECONFIG names no cluster: {error}", returncode=2)
        assert config
        self.address = config.cluster.server
        self._http = Client(config, ConnectionParams())
        self._kinds: dict[str, dict[str, Any]] = {}

    def close(self) -> None:
        """Ends the connection."""
        self._http.close()

    def version(self) -> str:
        """Such as `1.34`."""
        answer = self._get("/version")
        return f"{answer['major']}.{answer['minor'].rstrip('+')}"

    def _get(self, path: str) -> Any:
        return self._http.get(path).raise_for_status().json()

    def path_of(self, manifest: Mapping[str, Any]) -> str | None:
        """Where an object lives; None when the server does not know its kind."""
        kind = identity(manifest)
        if kind not in self._kinds:
            group = manifest["apiVersion"]
            root = f"/apis/{group}" if "/" in group else f"/api/{group}"
            found = self._http.get(root)
            if found.is_success:
                for entry in found.json()["resources"]:
                    if "/" not in entry["name"]:
                        self._kinds[f"{group} {entry['kind']}"] = {**entry, "root": root}
        if kind not in self._kinds:
            return None
        served = self._kinds[kind]
        inside = f"/namespaces/{manifest['metadata'].get('namespace', 'default')}" if served["namespaced"] else ""
        return f"{served['root']}{inside}/{served['name']}/{manifest['metadata']['name']}"

    def apply(self, manifest: Mapping[str, Any], *, dry_run: bool) -> list[str]:
        """Server-side apply with strict validation: what the server refuses or warns about."""
        path = self.path_of(manifest)
        if path is None:
            return [f"the server knows no {identity(manifest)}"]
        query = {"fieldManager": "slipway-test", "force": "true", "fieldValidation": "Strict"}
        answer = self._http.patch(
            path,
            params={**query, "dryRun": "All"} if dry_run else query,
            json=manifest,
            headers={"Content-Type": "application/apply-patch+yaml"},
        )
        warnings = [f"warning: {text}" for text in answer.headers.get_list("warning")]
        return warnings if answer.is_success else [str(answer.json().get("message", answer.text)), *warnings]

    def exists(self, manifest: Mapping[str, Any]) -> bool:
        """Whether the server has the object."""
        path = self.path_of(manifest)
        return path is not None and self._http.get(path).is_success

    @contextmanager
    def having(self, manifests: list[dict[str, Any]]) -> Iterator[None]:
        """With these objects there; those that were not are taken away at the end."""
        made: list[dict[str, Any]] = []
        try:
            for manifest in manifests:
                if not self.exists(manifest):
                    labels = {**manifest["metadata"].get("labels", {}), **OURS}
                    labelled = {**manifest, "metadata": {**manifest["metadata"], "labels": labels}}
                    problems = self.apply(labelled, dry_run=False)
                    assert self.exists(manifest), problems
                    made.append(manifest)
            yield
        finally:
            for manifest in reversed(made):
                self._http.delete(str(self.path_of(manifest))).raise_for_status()

    def wait_until_served(self, group_version: str, seconds: float = 30) -> None:
        """A new custom resource is served a moment after its definition was taken."""
        until = time.monotonic() + seconds
        while not self._http.get(f"/apis/{group_version}").is_success:
            assert time.monotonic() < until, f"{group_version} is not served after {seconds:g} s"
            time.sleep(0.2)


def custom_resource_definitions() -> list[dict[str, Any]]:
    """The definitions of Karpenter and KEDA, whole, from their Go modules."""
    yaml = YAML(typ="safe")
    return [
        yaml.load(module(name)[0] / folder / file)
        for name, (folder, files) in CUSTOM_RESOURCES.items()
        for file in files
    ]
