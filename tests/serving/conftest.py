from collections.abc import Iterator

import pytest
from serving.model import Model, load
from serving.package import verify_directory
from serving_packages import write_identity_package, write_package
from serving_process import Server, serving, serving_test_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The test model, loaded in this process."""
    return load(verify_directory(write_package(tmp_path_factory.mktemp("model") / "package")), max_rows=1000)


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The model that gives back a tensor of every datatype, loaded in this process."""
    return load(
        verify_directory(write_identity_package(tmp_path_factory.mktemp("identity") / "package")), max_rows=1000
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server process of the test model, with small limits."""
    limits = {"max_body_bytes": 100_000, "max_rows": 50}
    with serving_test_model(tmp_path_factory.mktemp("server"), **limits) as running:
        yield running


@pytest.fixture(scope="module")
def identity_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server process of the identity model."""
    with serving(write_identity_package(tmp_path_factory.mktemp("identity") / "package")) as running:
        yield running
