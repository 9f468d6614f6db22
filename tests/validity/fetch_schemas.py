"""Renews `schemas/`: what the Kubernetes API and the operators' custom resources accept, from their Go modules.

Run by `make schemas` after a version or a kind below has changed. Needs `go` and its module proxy; the tests need
neither. Kept are the definitions that our objects are made of, without their descriptions.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

SCHEMAS = Path(__file__).parent / "schemas"
KUBERNETES = {"1.33": "v1.33.5", "1.34": "v1.34.4", "1.35": "v1.35.4"}
"""Version that the config offers -> its module `k8s.io/kubernetes`. EKS runs some patch release of each."""
KINDS = {
    "ClusterRole",
    "ClusterRoleBinding",
    "ConfigMap",
    "CronJob",
    "DaemonSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "Ingress",
    "IngressClass",
    "Job",
    "Namespace",
    "NetworkPolicy",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "PriorityClass",
    "ResourceQuota",
    "Role",
    "RoleBinding",
    "Secret",
    "Service",
    "ServiceAccount",
    "StatefulSet",
}
CUSTOM_RESOURCES = {
    "sigs.k8s.io/karpenter@v1.8.0": ("pkg/apis/crds", ["karpenter.sh_nodepools.yaml"]),
    "github.com/aws/karpenter-provider-aws@v1.8.6": ("pkg/apis/crds", ["karpenter.k8s.aws_ec2nodeclasses.yaml"]),
    "github.com/external-secrets/external-secrets@v1.3.2": (
        "config/crds/bases",
        ["external-secrets.io_externalsecrets.yaml", "external-secrets.io_secretstores.yaml"],
    ),
    "github.com/kedacore/keda/v2@v2.21.0": (
        "config/crd/bases",
        ["keda.sh_scaledobjects.yaml", "keda.sh_scaledjobs.yaml", "keda.sh_triggerauthentications.yaml"],
    ),
}
"""Module -> folder and files of its custom resource definitions."""


def module(name: str) -> tuple[Path, str]:
    """Folder of a module in Go's cache, downloaded when it is not there, and the checksum that Go verified."""
    with tempfile.TemporaryDirectory() as empty:  # a go.mod of the checkout has no say
        done = subprocess.run(
            ["go", "mod", "download", "-json", name], cwd=empty, capture_output=True, text=True, check=False
        )
    answer: dict[str, str] = json.loads(done.stdout or "{}")
    if "Dir" not in answer:
        sys.exit(f"{name}: {answer.get('Error') or done.stderr.strip() or 'go mod download gave no answer'}")
    return Path(answer["Dir"]), answer["Sum"]


def undescribed(schema: Any, *, properties: bool = False) -> Any:
    """`schema` without the texts for people; a property that is called `description` stays."""
    if isinstance(schema, dict):
        return {
            key: undescribed(value, properties=key in {"properties", "definitions"} and not properties)
            for key, value in schema.items()
            if properties or key != "description"
        }
    return [undescribed(entry) for entry in schema] if isinstance(schema, list) else schema


def references(schema: Any) -> Iterator[str]:
    """Names of the definitions that a schema refers to."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                yield value.removeprefix("#/definitions/")
            else:
                yield from references(value)
    elif isinstance(schema, list):
        for entry in schema:
            yield from references(entry)


def needed(definitions: dict[str, Any]) -> dict[str, Any]:
    """The definitions of `KINDS`, in versions that are not alpha or beta, with all that they refer to."""
    waiting = [
        name
        for name, schema in definitions.items()
        for served in schema.get("x-kubernetes-group-version-kind", [])
        if served["kind"] in KINDS and served["version"] in {"v1", "v2"}
    ]
    found: dict[str, Any] = {}
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = undescribed(definitions[name])
            waiting += references(found[name])
    return found


def kubernetes() -> dict[str, Any]:
    """Definition -> the versions that have it in one form, with that form."""
    forms: dict[str, list[dict[str, Any]]] = {}
    sources: dict[str, str] = {}
    for version, tag in KUBERNETES.items():
        name = f"k8s.io/kubernetes@{tag}"
        folder, checksum = module(name)
        sources[name] = checksum
        swagger = json.loads((folder / "api" / "openapi-spec" / "swagger.json").read_text(encoding="utf-8"))
        for definition, schema in needed(swagger["definitions"]).items():
            known = forms.setdefault(definition, [])
            same = next((form for form in known if form["schema"] == schema), None)
            if same:
                same["versions"].append(version)
            else:
                known.append({"versions": [version], "schema": schema})
    return {"sources": sources, "definitions": forms}


def custom_resources() -> dict[str, Any]:
    """`apiVersion kind` -> its schema, for every version that is served."""
    definitions: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, (subfolder, files) in CUSTOM_RESOURCES.items():
        folder, checksum = module(name)
        sources[name] = checksum
        for file in files:
            crd = YAML(typ="safe").load(folder / subfolder / file)["spec"]
            for version in crd["versions"]:
                if version["served"]:
                    identity = f"{crd['group']}/{version['name']} {crd['names']['kind']}"
                    definitions[identity] = undescribed(version["schema"]["openAPIV3Schema"])
    return {"sources": sources, "definitions": definitions}


def write(file: Path, content: dict[str, Any]) -> None:
    """One definition a line, so that a difference can be read."""
    lines = [
        f"{json.dumps(name)}: {json.dumps(schema, separators=(',', ':'), sort_keys=True)}"
        for name, schema in sorted(content["definitions"].items())
    ]
    sources = json.dumps(content["sources"], indent=1)
    file.write_text(f'{{"sources": {sources},\n"definitions": {{\n' + ",\n".join(lines) + "\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    write(SCHEMAS / "kubernetes.json", kubernetes())
    write(SCHEMAS / "custom_resources.json", custom_resources())
