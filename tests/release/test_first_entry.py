"""`slipway init`: a service's entry, written from a package into a config that stays as it was otherwise."""

from pathlib import Path

import pytest
from release_support import DEV_CONFIG, make_checkout
from serving_packages import write_archive

from release.environment import Environment
from release.errors import SlipwayError
from release.init import write_entry
from stacks.config.environments import Environment as Name
from stacks.config.loader import from_file

VALID = DEV_CONFIG.replace("sha256:77", "sha256:" + "77" * 32)


@pytest.fixture
def dev(tmp_path: Path) -> Environment:
    environment = Environment("dev", make_checkout(tmp_path / "a checkout"))
    environment.config_file.write_text(VALID)
    return environment


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return write_archive(tmp_path / "package")[0]


def test_an_entry_is_written_beside_what_is_there(dev: Environment, package: Path):
    written = write_entry(dev, package, "late")
    text = dev.config_file.read_text()
    assert text.splitlines()[0] == "# yaml-language-server: $schema=./schema.json"
    assert [line for line in VALID.splitlines() if line not in text.splitlines()] == []
    assert written.service == "late"
    assert written.text.splitlines()[1:3] == [
        "    late:",
        "      # classification: carrier, temp, wind → probability, label",
    ]
    service = from_file(Name.DEV, dev.root).services["late"]
    assert service.rest is not None
    assert service.model.version is None


def test_a_service_is_never_overwritten(dev: Environment, package: Path):
    before = dev.config_file.read_text()
    with pytest.raises(SlipwayError, match="has a service 'flight-delay' already"):
        write_entry(dev, package, "flight-delay")
    assert dev.config_file.read_text() == before


def test_a_name_that_the_config_refuses_is_refused_and_nothing_is_written(dev: Environment, package: Path):
    before = dev.config_file.read_text()
    with pytest.raises(SlipwayError, match="the name must be 1 to 40 of a-z"):
        write_entry(dev, package, "Late_Flights")
    assert dev.config_file.read_text() == before


def test_a_damaged_package_is_refused_before_anything_is_read_from_it(dev: Environment, package: Path):
    package.write_bytes(package.read_bytes()[:-40])
    with pytest.raises(SlipwayError) as caught:
        write_entry(dev, package, "late")
    assert caught.value.code == "bad-package"
