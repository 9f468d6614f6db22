"""Every object that any environment makes is one that each offered version of Kubernetes takes."""

from copy import deepcopy
from typing import Any

import pytest
from validity import fetch_schemas, strict
from validity.worlds import World

from stacks.config.vocabulary import KubernetesVersion


@pytest.fixture(scope="module")
def objects(worlds: list[World]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(world.name, name, manifest) for world in worlds for name, manifest in strict.manifests(world)]


def test_there_is_a_schema_for_every_version_that_the_config_offers():
    offered = {version.value for version in KubernetesVersion}
    assert strict.versions() == fetch_schemas.KUBERNETES.keys() == offered


@pytest.mark.parametrize("version", list(KubernetesVersion))
def test_every_object_is_valid_strictly(version: KubernetesVersion, objects: list[tuple[str, str, dict[str, Any]]]):
    checked = [entry for entry in objects if strict.identity(entry[2]) not in strict.UNPUBLISHED]
    assert len(checked) > 200
    found = {
        f"{world} / {name}: {mistake}"
        for world, name, manifest in checked
        for mistake in strict.mistakes(version.value, manifest)
    }
    assert not found, "\n".join(sorted(found))


def test_the_kinds_that_are_checked_are_these(objects: list[tuple[str, str, dict[str, Any]]]):
    """So that a kind which is no longer made, or never was, is seen."""
    kinds = {strict.identity(manifest) for _, _, manifest in objects}
    assert kinds >= {
        "apps/v1 Deployment",
        "autoscaling/v2 HorizontalPodAutoscaler",
        "batch/v1 CronJob",
        "eks.amazonaws.com/v1 NodeClass",
        "external-secrets.io/v1 ExternalSecret",
        "external-secrets.io/v1 SecretStore",
        "karpenter.k8s.aws/v1 EC2NodeClass",
        "karpenter.sh/v1 NodePool",
        "keda.sh/v1alpha1 ScaledObject",
        "networking.k8s.io/v1 Ingress",
        "networking.k8s.io/v1 NetworkPolicy",
        "policy/v1 PodDisruptionBudget",
        "rbac.authorization.k8s.io/v1 RoleBinding",
        "v1 Namespace",
        "v1 Service",
        "v1 ServiceAccount",
    }


DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "one", "labels": {"a": "b"}},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {
                "containers": [
                    {
                        "name": "one",
                        "image": "one:1",
                        "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}},
                        "livenessProbe": {"httpGet": {"path": "/", "port": "rest"}},
                    }
                ]
            },
        },
    },
}


def edited(manifest: dict[str, Any], path: list[Any], value: Any) -> dict[str, Any]:
    changed = deepcopy(manifest)
    section: Any = changed
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = value
    return changed


CONTAINER = ["spec", "template", "spec", "containers", 0]


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (["spec", "replica"], 2, "spec: Additional properties are not allowed ('replica' was unexpected)"),
        (["spec", "replicas"], "two", "spec.replicas: 'two' is not of type 'integer'"),
        (["spec", "selector"], None, "spec.selector: None is not of type 'object'"),
        ([*CONTAINER, "resources", "limits", "cpu"], "half", "limits.cpu: 'half' does not match"),
        ([*CONTAINER, "livenessProbe", "httpGet", "port"], True, "httpGet.port: True is not of type 'integer'"),
        (
            [*CONTAINER, "securityContext"],
            {"readOnlyRootFileSystem": True},
            "('readOnlyRootFileSystem' was unexpected)",
        ),
        (["metadata", "labels", "a"], 1, "metadata.labels.a: 1 is not of type 'string'"),
    ],
)
def test_a_mistake_is_found(path: list[Any], value: Any, says: str):
    for version in KubernetesVersion:
        assert strict.mistakes(version.value, DEPLOYMENT) == []
        (found,) = strict.mistakes(version.value, edited(DEPLOYMENT, path, value))
        assert says in found


def test_a_field_that_came_later_is_refused_by_the_versions_before():
    """`fileKeyRef` of container variables is of Kubernetes 1.34."""
    value_from = {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "k"}}
    later = edited(DEPLOYMENT, [*CONTAINER, "env"], [{"name": "A", "valueFrom": value_from}])
    assert strict.mistakes("1.34", later) == []
    (found,) = strict.mistakes("1.33", later)
    assert "'fileKeyRef' was unexpected" in found


@pytest.mark.parametrize("kind", ["karpenter.sh/v1 NodePool", "karpenter.k8s.aws/v1 EC2NodeClass"])
def test_a_mistake_in_a_custom_resource_is_found(kind: str, objects: list[tuple[str, str, dict[str, Any]]]):
    good = next(manifest for _, _, manifest in objects if strict.identity(manifest) == kind)
    (found,) = strict.mistakes("1.34", edited(good, ["spec", "limit"], {"cpu": "1"}))
    assert found == "spec: Additional properties are not allowed ('limit' was unexpected)"
