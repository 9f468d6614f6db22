"""The engine's own event logs, understood. Those in engine_logs/ come from real runs of the real engine (3.259.0)."""

import json
from pathlib import Path

import pytest

from release.causes import causes, readable
from release.events import Diagnostic, Story, urn_name, urn_type

LOGS = Path(__file__).parent / "engine_logs"


def story(name: str) -> Story:
    told = Story()
    for line in (LOGS / f"{name}.jsonl").read_text().splitlines():
        told.add(json.loads(line))
    return told


def changes(name: str) -> list[tuple[str, str, str]]:
    return [(change.operation, change.type.rsplit(":", 1)[1], change.name) for change in story(name).changes.values()]


def test_what_is_created_by_which_component():
    told = story("create")
    assert changes("create") == [
        ("create", "Namespace", "demo-ns"),
        ("create", "ConfigMap", "demo-other"),
        ("create", "ConfigMap", "demo-map"),
    ]
    assert {change.component for change in told.changes.values()} == {"Demo demo"}
    assert told.done == {"Demo demo": 3}
    assert told.outputs == {"answer": 42}
    assert told.counts == {"create": 5}  # the engine counts the stack and the component too


def test_a_replacement_names_each_property_and_which_of_them_force_it():
    (first, second) = story("replace").changes.values()
    assert [str(difference) for difference in first.differences] == [
        "metadata.name: other → other2  (forces a replacement)"
    ]
    assert [str(difference) for difference in second.differences] == [
        "data.doc.Statement[0].Action: two → rename  (forces a replacement)",
        "data.plain: two → rename  (forces a replacement)",
        'metadata.labels["app.kubernetes.io/name"]: two → rename',
        "metadata.name: map → map2  (forces a replacement)",
    ]


def test_what_is_deleted():
    assert changes("destroy") == [
        ("delete", "ConfigMap", "demo-map"),
        ("delete", "ConfigMap", "demo-other"),
        ("delete", "Namespace", "demo-ns"),
    ]


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        (
            "refused",
            (
                'ConfigMap bad: the Kubernetes API refused it: ConfigMap "BAD NAME!" is invalid: metadata.name: '
                'Invalid value: "BAD NAME!": must be at most 253 of a-z, 0-9, "-" and "."'
            ),
        ),
        ("exception", "ValueError: something odd"),
        ("config_error", "two mistakes in the config of local:\n  a: b\n  c: d"),
    ],
)
def test_the_cause_alone_is_left(name: str, cause: str):
    assert causes(story(name)) == [cause]


@pytest.mark.parametrize("name", ["create", "replace", "destroy"])
def test_a_run_that_went_well_has_no_cause(name: str):
    assert causes(story(name)) == []


URN = "urn:pulumi:dev::slipway::slipway:index:DataStore$aws:s3/bucket:Bucket::data-models"


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        (
            f"creating {URN}: 1 error occurred:\n\t* creating S3 Bucket (x): BucketAlreadyExists: taken\n\n",
            "Bucket data-models: creating S3 Bucket (x): BucketAlreadyExists: taken",
        ),
        (
            f"deleting {URN}: 2 errors occurred:\n\t* first\n\t* second\n",
            "Bucket data-models: first\nsecond",
        ),
        ("<{%reset%}>plain <{%fg 1%}>text<{%reset%}>", "Bucket data-models: plain text"),
        (f"it depends on {URN}, which failed", "Bucket data-models: it depends on data-models, which failed"),
    ],
)
def test_a_providers_words_without_the_engines(message: str, cause: str):
    told = Story(diagnostics=[Diagnostic("error", message, URN)])
    assert causes(told) == [cause]


def test_the_same_cause_is_said_once():
    said = Diagnostic("error", "no", URN)
    assert len(causes(Story(diagnostics=[said, said]))) == 1


def test_a_policy_that_must_hold_is_a_cause():
    told = Story()
    event = {"policyName": "no-public-bucket", "message": "bucket is public\n", "enforcementLevel": "mandatory"}
    told.add({"policyEvent": event | {"resourceUrn": URN}})
    told.add({"policyEvent": event | {"policyName": "tags", "enforcementLevel": "advisory", "resourceUrn": URN}})
    assert causes(told) == ["Bucket data-models: policy no-public-bucket: bucket is public"]


def test_loss_of_data_is_known_by_type():
    told = Story()
    metadata = {"op": "replace", "urn": URN, "type": "", "old": {}, "new": {}}
    told.add({"resourcePreEvent": {"metadata": metadata}})
    (change,) = told.changes.values()
    assert change.loses == "the objects in it"
    assert change.component == "environment"


def test_urns():
    assert (urn_type(URN), urn_name(URN)) == ("aws:s3/bucket:Bucket", "data-models")
    assert readable(f"in {URN}: no") == "in data-models: no"
