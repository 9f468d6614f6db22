"""The components as a package: what programs in other languages see of them, through the real engine."""

import importlib
import inspect
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any, is_typeddict

import pulumi
import pytest

import components
from components.package import COMPONENTS, PACKAGE, InheritingAnalyzer

ROOT = Path(__file__).resolve().parents[2]
INTERNAL = {"ClusterAddons"}
"""Components that only another component makes."""


def every_component() -> set[str]:
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.iter_modules(components.__path__, "components.")
        if module.name != "components.__main__"
    ]
    return {
        name
        for module in modules
        for name, member in vars(module).items()
        if inspect.isclass(member)
        and issubclass(member, pulumi.ComponentResource)
        and member.__module__ == module.__name__
    }


def pulumi_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def args_of(component: type[pulumi.ComponentResource]) -> Any:
    args = inspect.get_annotations(component.__init__)["args"]
    assert is_typeddict(args)
    return args


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The schema as `pulumi package get-schema` prints it, with nothing but loopback to reach."""
    root = tmp_path_factory.mktemp("package")
    look = [sys.executable, "-m", "engine", "ensure", "--root", str(root)]
    engine = json.loads(subprocess.run(look, capture_output=True, text=True, check=True).stdout)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([engine["bin"], os.environ["PATH"]]),
        "PULUMI_HOME": str(root / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    printed = subprocess.run(
        ["pulumi", "package", "get-schema", str(ROOT / "components"), "--non-interactive"],
        env=environment,
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert printed.returncode == 0, printed.stderr
    return json.loads(printed.stdout)


def test_every_component_is_published_or_internal():
    assert {component.__name__ for component in COMPONENTS} == every_component() - INTERNAL


@pytest.mark.integration
def test_the_schema_has_every_component(schema: dict[str, Any]):
    assert (schema["name"], schema["version"]) == (PACKAGE, "0.1.0")
    assert set(schema["resources"]) == {f"{PACKAGE}:index:{component.__name__}" for component in COMPONENTS}
    assert all(resource["isComponent"] for resource in schema["resources"].values())


@pytest.mark.integration
@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.__name__)
def test_arguments_and_outputs_are_as_in_python(schema: dict[str, Any], component: type[pulumi.ComponentResource]):
    resource = schema["resources"][f"{PACKAGE}:index:{component.__name__}"]
    args = args_of(component)
    assert set(resource["inputProperties"]) == {pulumi_name(name) for name in args.__annotations__}
    assert set(resource.get("requiredInputs", [])) == {pulumi_name(name) for name in args.__required_keys__}
    outputs = [name for name in inspect.get_annotations(component) if not name.startswith("_")]
    assert outputs, "a component without outputs cannot be waited for"
    assert set(resource["properties"]) == {pulumi_name(name) for name in outputs}
    assert resource["description"] == component.__doc__.strip()


@pytest.mark.integration
def test_everything_in_the_schema_is_described(schema: dict[str, Any]):
    sections = {
        f"{token} {kind}": properties
        for token, resource in {**schema["resources"], **schema["types"]}.items()
        for kind in ("inputProperties", "properties")
        if (properties := resource.get(kind))
    }
    assert [
        (section, name)
        for section, properties in sections.items()
        for name, found in properties.items()
        if not found.get("description")
    ] == []
    assert [token for token, found in schema["types"].items() if not found.get("description")] == []


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.__name__)
def test_type_tokens_are_those_of_the_package(component: type[pulumi.ComponentResource]):
    """The provider makes a component by the last part of its token."""
    assert f'super().__init__("{PACKAGE}:index:{component.__name__}"' in inspect.getsource(component)
    assert list(inspect.signature(component.__init__).parameters) == ["self", "name", "args", "opts"]


def test_inherited_arguments_keep_what_is_written_beside_them():
    result = InheritingAnalyzer(PACKAGE).analyze(list(COMPONENTS))
    inherited = result["component_definitions"]["ModelService"].inputs["kmsKeyArn"]
    assert inherited.description == "Key of the environment's buckets and queues."


def test_what_the_package_needs_is_what_the_checkout_has():
    alone = (ROOT / "components" / "requirements.txt").read_text().splitlines()
    needed = {line for line in alone if line and not line.startswith("#")}
    assert needed <= set((ROOT / "requirements.in").read_text().splitlines())
    assert {line.split("==")[0] for line in needed} == third_party()


def third_party() -> set[str]:
    """Distributions that the components import."""
    imported = {
        line.split()[1].split(".")[0]
        for file in (ROOT / "components").glob("*.py")
        for line in file.read_text().splitlines()
        if line.startswith(("import ", "from "))
    }
    return {name.replace("_", "-") for name in imported - sys.stdlib_module_names - {"components"}}
