"""The structural diff: complete, minimal, and its paths are real."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.provider import diff
from local.provider.diff import Change, Kind, differences
from local.provider.values import UNKNOWN

LEAVES = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from(["", "a", "b"]))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=12,
)
PROPS = st.dictionaries(st.sampled_from(["alpha", "beta", "with.dot"]), VALUES, max_size=3)


def get(value, path):
    for element in path:
        value = value[element]
    return value


def patched(old, new, changes):
    """`old` with every change taken from `new`: deletes from the back, so that indices stay true."""
    result = copy.deepcopy(old)
    for change in [c for c in changes if c.kind is not Kind.DELETE]:
        *parents, last = change.path
        box = get(result, parents)
        value = copy.deepcopy(get(new, change.path))
        if isinstance(box, list) and change.kind is Kind.ADD:
            assert last == len(box)
            box.append(value)
        else:
            box[last] = value
    for change in reversed([c for c in changes if c.kind is Kind.DELETE]):
        *parents, last = change.path
        del get(result, parents)[last]
    return result


@given(PROPS)
def test_nothing_differs_from_itself(props):
    assert differences(props, copy.deepcopy(props)) == []


@given(PROPS, PROPS)
def test_the_changes_lead_from_old_to_new(old, new):
    assert differences(patched(old, new, differences(old, new)), new) == []


@given(PROPS, PROPS)
def test_the_way_back_has_the_same_paths(old, new):
    inverse = {Kind.ADD: Kind.DELETE, Kind.DELETE: Kind.ADD, Kind.UPDATE: Kind.UPDATE}
    there = {(c.path, c.kind) for c in differences(old, new)}
    back = {(c.path, inverse[c.kind]) for c in differences(new, old)}
    assert there == back


def test_paths_reach_into_lists():
    old = {"spec": {"containers": [{"image": "a", "name": "x"}]}}
    new = {"spec": {"containers": [{"image": "b", "name": "x"}, {"image": "c"}]}}
    assert [(diff.text(c.path), c.kind) for c in differences(old, new)] == [
        ("spec.containers[0].image", Kind.UPDATE),
        ("spec.containers[1]", Kind.ADD),
    ]


def test_null_is_nothing_and_true_is_not_one():
    assert differences({"a": None}, {}) == []
    assert differences({"a": True}, {"a": 1}) == [Change(("a",), Kind.UPDATE)]
    assert differences({"a": 1.0}, {"a": 1}) == []


def test_what_is_not_known_yet_differs():
    assert differences({"a": 1}, {"a": UNKNOWN, "b": [UNKNOWN]}) == [
        Change(("a",), Kind.UPDATE),
        Change(("b",), Kind.ADD),
    ]


def test_keys_that_are_not_plain_are_quoted():
    assert diff.text(("labels", "app.kubernetes.io/name")) == 'labels["app.kubernetes.io/name"]'


@pytest.mark.parametrize(
    ("path", "pattern", "hit"),
    [
        (("vpcConfig", "subnetIds", 0), "vpcConfig.subnetIds", True),
        (("rules", 2, "name"), "rules.name", True),
        (("rules", 2), "rules.name", True),
        (("rules", 2, "size"), "rules.name", False),
        (("name",), "name", True),
        (("names",), "name", False),
        (("tags", "a"), "*.a", True),
    ],
)
def test_patterns(path, pattern, hit):
    assert diff.matches(path, pattern) is hit


def test_json_documents_are_compared_as_documents():
    assert diff.same_json('{"a": 1, "b": [2]}', '{"b":[2],"a":1}')
    assert not diff.same_json('{"a": 1}', '{"a": 2}')
    assert not diff.same_json("{not json", "{not json}")


@given(st.lists(VALUES, max_size=4), st.randoms())
def test_sets_have_no_order(values, random):
    shuffled = copy.deepcopy(values)
    random.shuffle(shuffled)
    assert diff.same_set(values, shuffled)
    assert not diff.same_set(values, [*values, "one more"])
