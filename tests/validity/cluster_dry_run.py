"""Every object that any environment makes, through a real API server's strict dry run: `make test-cluster`.

Not a part of the default suite: it needs `KUBECONFIG`. On that cluster it makes, and takes away again, the namespaces
and custom resource definitions that a dry run needs; nothing else is ever stored.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from typing import Any

import pytest
from validity import strict
from validity.api_server import ApiServer, custom_resource_definitions
from validity.worlds import World


@pytest.fixture(scope="module")
def objects(worlds: list[World]) -> list[tuple[str, str, dict[str, Any]]]:
    """Each once, whichever worlds have it."""
    different = {
        json.dumps(manifest, sort_keys=True): (world.name, name, manifest)
        for world in worlds
        for name, manifest in strict.manifests(world)
        if strict.identity(manifest) not in strict.UNPUBLISHED
    }
    return list(different.values())


@pytest.fixture(scope="module")
def api(objects: list[tuple[str, str, dict[str, Any]]]) -> Iterator[ApiServer]:
    """The server, with the namespaces and definitions that the objects need."""
    with closing(ApiServer()) as server:
        print(f"\ndry run against {server.address} (Kubernetes {server.version()})")
        namespaces = {m["metadata"]["name"]: m for _, _, m in objects if strict.identity(m) == "v1 Namespace"}
        for _, _, manifest in objects:
            name = manifest["metadata"].get("namespace", "default")
            namespaces.setdefault(name, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        definitions = custom_resource_definitions()
        with server.having([*definitions, *namespaces.values()]):
            for definition in definitions:
                spec = definition["spec"]
                server.wait_until_served(f"{spec['group']}/{spec['versions'][0]['name']}")
            yield server


def test_the_server_takes_every_object(api: ApiServer, objects: list[tuple[str, str, dict[str, Any]]]):
    assert len(objects) > 150
    found = {
        f"{world} / {name}: {problem}"
        for world, name, manifest in objects
        for problem in api.apply(manifest, dry_run=True)
    }
    assert not found, "\n".join(sorted(found))


def test_nothing_was_stored(api: ApiServer, objects: list[tuple[str, str, dict[str, Any]]]):
    deployments = [m for _, _, m in objects if m["kind"] == "Deployment"]
    assert deployments
    assert not any(api.exists(manifest) for manifest in deployments)


@pytest.mark.parametrize(
    ("kind", "path", "value", "says"),
    [
        ("apps/v1 Deployment", ["spec", "replica"], 2, "field not declared in schema"),
        ("apps/v1 Deployment", ["spec", "selector", "matchLabels"], {"a": "b"}, "`selector` does not match"),
        ("karpenter.sh/v1 NodePool", ["spec", "limit"], {}, "field not declared in schema"),
        ("karpenter.sh/v1 NodePool", ["spec", "disruption", "budgets", 0, "schedule"], "@daily", "'duration'"),
    ],
)
def test_the_server_is_strict(
    api: ApiServer, objects: list[tuple[str, str, dict[str, Any]]], kind: str, path: list[Any], value: Any, says: str
):
    changed = deepcopy(next(m for _, _, m in objects if strict.identity(m) == kind))
    section: Any = changed
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = value
    found = api.apply(changed, dry_run=True)
    assert any(says in problem for problem in found), found
