"""The reference pages say what the code says."""

from typing import Any, is_typeddict

import pytest

from components.package import COMPONENTS
from docs.generate import FOLDER, SMALLEST, made_by, pages


@pytest.fixture(scope="module")
def current() -> dict[Any, str]:
    return pages()


def test_every_page_is_current(current: dict[Any, str]):
    assert set(FOLDER.glob("*.md")) == current.keys(), "run: make docs"
    for file, content in current.items():
        assert file.read_text() == content, f"{file.name}: run: make docs"


def test_there_is_a_page_a_component(current: dict[Any, str]):
    assert len(current) == len(COMPONENTS) + 1
    index = current[FOLDER / "index.md"]
    assert all(f"[{component.__name__}](" in index for component in COMPONENTS)


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.__name__)
def test_the_smallest_use_is_the_smallest_and_makes_something(component: Any):
    args = component.__init__.__annotations__["args"]
    assert is_typeddict(args)
    assert SMALLEST[component.__name__].keys() - {"model"} == args.__required_keys__
    assert len(made_by(component.__name__)) > 1


def test_defaults_and_reasons_are_told_apart(current: dict[Any, str]):
    network = current[FOLDER / "network.md"]
    assert "| `cidr` | string | `10.0.0.0/16` | Network of the VPC" in network
    assert "| `environment` | string | **required** | Environment name; part of every name. |" in network
    data = current[FOLDER / "data-store.md"]
    assert "| `capture_retention_days` | integer | 400 |" in data
