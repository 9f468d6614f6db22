"""The record of what each service runs: local's file, and the config file of every other environment."""

import json

import pytest

from release.environment import Environment
from release.errors import SlipwayError
from release.releases import Record, Release, read_releases, write_release
from stacks.config.releases import read_releases as as_the_program_reads

ONE = Release("flight-delay", "1", "sha256:" + "11" * 32)
TWO = Release("flight-delay", "2", "sha256:" + "22" * 32)
RECORD = Record(current=TWO, previous=ONE, at="2026-11-23T20:00:00+00:00", note="1 rolled back: because", verified=True)


@pytest.mark.parametrize("record", [RECORD, Record(current=ONE), Record(note="1 rolled back: it crashed")])
def test_what_is_written_is_read_again(local: Environment, dev: Environment, record: Record):
    for environment in (local, dev):
        write_release(environment, "flight-delay", record)
        assert read_releases(environment)["flight-delay"] == record


def test_the_program_reads_what_a_release_writes(local: Environment):
    write_release(local, "flight-delay", RECORD)
    entry = as_the_program_reads(local.root)["flight-delay"]
    assert (entry["name"], entry["version"], entry["digest"]) == (TWO.name, TWO.version, TWO.digest)


def test_local_leaves_the_working_tree_alone(local: Environment):
    before = local.config_file.read_text()
    write_release(local, "flight-delay", RECORD)
    assert local.config_file.read_text() == before


def test_other_services_keep_their_records(local: Environment):
    write_release(local, "a", RECORD)
    write_release(local, "b", Record(current=ONE))
    assert set(read_releases(local)) == {"a", "b"}


def test_a_config_file_keeps_its_comments_quotes_and_order(dev: Environment):
    before = dev.config_file.read_text()
    write_release(dev, "flight-delay", RECORD)
    after = dev.config_file.read_text()
    for line in before.splitlines():
        if not line.lstrip().startswith("model: {name: flight-delay}"):
            assert line in after
    assert "# nothing released yet" in after
    assert f"version: {TWO.version}" in after or f"version: '{TWO.version}'" in after
    assert TWO.digest in after


def test_going_back_to_nothing_takes_the_version_out(dev: Environment):
    write_release(dev, "flight-delay", RECORD)
    write_release(dev, "flight-delay", Record(note="2 rolled back: it crashed"))
    found = read_releases(dev)["flight-delay"]
    assert found.current is None
    assert found.note == "2 rolled back: it crashed"


def test_a_version_stays_a_text(dev: Environment):
    """A version such as 1e3 or 010 would come back as a number if YAML were left to guess."""
    for version in ("010", "1e3", "7", "1.10", "no"):
        write_release(dev, "flight-delay", Record(current=Release("flight-delay", version, TWO.digest)))
        current = read_releases(dev)["flight-delay"].current
        assert current is not None
        assert current.version == version


def test_a_service_that_is_not_configured_is_refused(dev: Environment):
    with pytest.raises(SlipwayError, match="no service 'ghost'"):
        write_release(dev, "ghost", RECORD)


def test_an_older_layout_is_refused_with_the_way_out(local: Environment):
    local.directory.mkdir(parents=True)
    (local.directory / "releases.json").write_text(json.dumps({"layout": 0, "services": {}}))
    with pytest.raises(SlipwayError, match="layout") as refused:
        read_releases(local)
    assert refused.value.hint == "run: slipway down && slipway up"


def test_a_file_that_is_no_json_is_refused(local: Environment):
    local.directory.mkdir(parents=True)
    (local.directory / "releases.json").write_text("{")
    with pytest.raises(SlipwayError, match=r"releases\.json is not valid JSON"):
        read_releases(local)
