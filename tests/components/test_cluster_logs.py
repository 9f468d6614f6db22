"""What Fluent Bit is told: where the log of a container goes, read as Fluent Bit reads it (tail, record accessor)."""

import fnmatch
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.cluster_logs import CLUSTER_LOGS, addon_configuration, cluster_log_group, fluent_bit
from components.metrics import log_group
from components.service_namespace import namespace_name

Section = dict[str, str]
ID = "0123456789abcdef" * 4
DNS_LABEL = st.from_regex(r"[a-z](-?[a-z0-9]){0,39}", fullmatch=True)


def sections(kind: str) -> list[Section]:
    """The sections of a kind; of a file in Fluent Bit's classic mode."""
    return [found for name, found in _sections(fluent_bit("prod")) if name == kind]


def _sections(text: str) -> Iterator[tuple[str, Section]]:
    for block in re.split(r"^(?=\[)", text, flags=re.MULTILINE)[1:]:
        head, *lines = block.splitlines()
        keys = [line.split(None, 1) for line in lines if line.strip()]
        assert len({key.lower() for key, _ in keys}) == len(keys)
        assert all(line.startswith("    ") for line in lines if line.strip())
        yield head.strip("[]"), {key.lower(): value.strip() for key, value in keys}


def inputs_of(path: str) -> list[Section]:
    def listed(section: Section, key: str) -> list[str]:
        return [pattern.strip() for pattern in section.get(key, "").split(",") if pattern]

    return [
        section
        for section in sections("INPUT")
        if any(fnmatch.fnmatch(path, pattern) for pattern in listed(section, "path"))
        and not any(fnmatch.fnmatch(path, pattern) for pattern in listed(section, "exclude_path"))
    ]


def tag_of(section: Section, path: str) -> str:
    if "tag_regex" not in section:
        return section["tag"].replace("*", path.strip("/").replace("/", "."))
    parts = re.search(section["tag_regex"].replace("(?<", "(?P<"), path)
    assert parts
    return re.sub(r"<(\w+)>", lambda name: parts[name[1]], section["tag"])


def goes_to(path: str) -> tuple[str, str]:
    """Log group and stream of a container's log."""
    (source,) = inputs_of(path)
    tag = tag_of(source, path)
    (output,) = [section for section in sections("OUTPUT") if fnmatch.fnmatch(tag, section["match"])]

    def filled(key: str) -> str:
        return re.sub(r"\$TAG\[(\d)\]", lambda part: tag.split(".")[int(part[1])], output[key])

    if "log_group_template" in output:
        return filled("log_group_template"), filled("log_stream_template")
    return output["log_group_name"], output["log_stream_prefix"] + tag


@given(service=DNS_LABEL, container=DNS_LABEL)
def test_a_service_writes_to_its_own_group_whatever_its_name(service: str, container: str):
    pod = f"{service}-rest-7c9f8b6d5-x2x4z"
    path = f"/var/log/containers/{pod}_{namespace_name(service)}_{container}-{ID}.log"
    assert goes_to(path) == (log_group("prod", service), f"{pod}.{container}")


@pytest.mark.parametrize("pod", ["coredns-1_kube-system_coredns", "keda-operator-1_keda_keda-operator"])
def test_everything_else_goes_to_the_clusters_group(pod: str):
    group, _stream = goes_to(f"/var/log/containers/{pod}-{ID}.log")
    assert group == cluster_log_group("${CLUSTER_NAME}", "application")


@pytest.mark.parametrize("pod", ["aws-node-1_kube-system_aws-node", "kube-proxy-1_kube-system_kube-proxy"])
def test_what_the_add_ons_other_files_read_is_not_read_twice(pod: str):
    assert inputs_of(f"/var/log/containers/{pod}-{ID}.log") == []


def test_metrics_are_found_in_the_lines_of_services():
    """A line is sent as the container wrote it, and said to be in the embedded metric format."""
    (services,) = [section for section in sections("OUTPUT") if section["match"] == "slipway.*"]
    assert (services["log_key"], services["log_format"]) == ("log", "json/emf")
    assert not [section for section in sections("FILTER") if section["match"] != "application.*"]


def test_nobody_makes_a_log_group():
    assert {section["auto_create_group"] for section in sections("OUTPUT")} == {"false"}


def test_inputs_keep_their_place_in_files_of_their_own():
    files = [section["db"] for section in sections("INPUT")]
    assert len(set(files)) == len(files)


def test_the_add_on_takes_it_as_a_template_without_templates():
    """The chart runs the file through Helm's `tpl`."""
    values = addon_configuration("prod")
    text = values["containerLogs"]["fluentBit"]["config"]["extraFiles"]["application-log.conf"]
    assert text == fluent_bit("prod")
    assert "{{" not in text


def test_the_role_writes_to_the_groups_that_are_made(provision):
    from components.cluster import Cluster

    spec = {"environment": "prod", "private_subnet_ids": ["subnet-1", "subnet-2"], "kms_key_arn": "key"}
    made = provision(lambda: Cluster("cluster", {**spec, "log_retention_days": 90}))
    found = [one for one in made.of_type("aws:cloudwatch/logGroup:LogGroup") if one.parent == "cluster-addons"]
    groups = {one.inputs["name"]: one.inputs for one in found}
    assert set(groups) == {cluster_log_group("slipway-prod", what) for what in CLUSTER_LOGS}
    assert all((group["retentionInDays"], group["kmsKeyId"]) == (90, "key") for group in groups.values())
    policy = made.resources["cluster-addons-cloudwatch-policy"].json("policy")["Statement"]
    (logs,) = [one for one in policy if "logs:PutLogEvents" in one["Action"]]
    prefix = "arn:aws:logs:eu-west-1:123456789012:log-group:"
    assert set(logs["Resource"]) == {f"{prefix}{name}:*" for name in [*groups, "/slipway/prod/*"]}
    assert not {action for one in policy for action in one["Action"]} & {"logs:CreateLogGroup", "logs:*"}
    addon = made.resources["cluster-addons-observability"]
    assert {f"cluster-addons-{what}-log" for what in CLUSTER_LOGS} <= set(addon.depends_on)
