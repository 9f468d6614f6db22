"""What changes, with whole paths: inside lists and maps, and inside JSON documents that are strings."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from release.differences import UNKNOWN, differences


def shown(old: Any, new: Any, detailed: dict[str, str] | None = None, **more: Any) -> list[str]:
    metadata = {"old": {"inputs": old, "outputs": more.pop("outputs", {})}, "new": {"inputs": new}} | more
    if detailed:
        metadata["detailedDiff"] = {path: {"diffKind": kind, "inputDiff": True} for path, kind in detailed.items()}
    return [str(difference) for difference in differences(metadata)]


def test_a_path_inside_a_list():
    old = {"spec": {"containers": [{"image": "a", "name": "x"}]}}
    new = {"spec": {"containers": [{"image": "b", "name": "x"}]}}
    assert shown(old, new, {"spec.containers[0].image": "update"}) == ["spec.containers[0].image: a → b"]


def test_a_coarse_path_is_taken_apart():
    old = {"spec": {"replicas": 2, "template": {"labels": {"app.kubernetes.io/name": "a"}}}}
    new = {"spec": {"replicas": 3, "template": {"labels": {"app.kubernetes.io/name": "b"}}, "paused": True}}
    assert shown(old, new, {"spec": "update"}) == [
        "spec.paused: (absent) → true",
        "spec.replicas: 2 → 3",
        'spec.template.labels["app.kubernetes.io/name"]: a → b',
    ]


def test_a_quoted_key():
    old, new = {"labels": {"a.b/c": "1"}}, {"labels": {"a.b/c": "2"}}
    assert shown(old, new, {'labels["a.b/c"]': "update"}) == ['labels["a.b/c"]: 1 → 2']


def test_inside_a_document():
    old = {"policy": json.dumps({"Statement": [{"Action": "s3:GetObject", "Effect": "Allow"}]})}
    new = {"policy": json.dumps({"Statement": [{"Action": "s3:*", "Effect": "Allow"}]})}
    assert shown(old, new, {"policy": "update"}) == ["policy.Statement[0].Action: s3:GetObject → s3:*"]


def test_what_forces_a_replacement_says_so():
    assert shown({"name": "a"}, {"name": "b"}, {"name": "update-replace"}) == ["name: a → b  (forces a replacement)"]


def test_without_details_the_changed_keys_are_compared():
    found = shown({"a": 1, "b": 1}, {"a": 2, "b": 2}, diffs=["a", "b"], keys=["b"])
    assert found == ["a: 1 → 2", "b: 1 → 2  (forces a replacement)"]


def test_a_drift_is_measured_against_the_outputs():
    metadata = {
        "old": {"inputs": {}, "outputs": {"size": 1}},
        "new": {"inputs": {"size": 2}},
        "detailedDiff": {"size": {"diffKind": "update", "inputDiff": False}},
    }
    assert [str(found) for found in differences(metadata)] == ["size: 1 → 2"]


def test_a_value_not_known_yet_is_called_that():
    assert shown({"arn": "x"}, {"arn": UNKNOWN}, {"arn": "update"}) == ["arn: x → (known after the update)"]


def test_a_list_that_grows_and_one_that_shrinks():
    assert shown({"a": [1]}, {"a": [1, 2]}, {"a": "update"}) == ["a[1]: (absent) → 2"]
    assert shown({"a": [1, 2]}, {"a": [1]}, {"a": "update"}) == ["a[1]: 2 → (absent)"]


def test_true_is_not_one():
    assert shown({"a": 1}, {"a": True}, {"a": "update"}) == ["a: 1 → true"]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(values, values)
def test_equal_values_have_no_difference_and_others_have_one(old: Any, new: Any):
    same = json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)
    found = shown({"value": old}, {"value": new}, {"value": "update"})
    assert not (same and found)
    assert all(line.startswith("value") for line in found)


def test_a_long_value_is_shortened():
    (line,) = shown({"a": "x" * 500}, {"a": "y"}, {"a": "update"})
    assert len(line) < 100
