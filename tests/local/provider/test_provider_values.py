"""Property values survive the wire."""

import pytest
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from local.provider.values import UNKNOWN, Archive, Asset, from_struct, has_unknown, to_struct

LEAVES = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer()),
    st.text(),
    st.just(UNKNOWN),
    st.builds(Asset, text=st.text(), hash=st.sampled_from(["", "ab"])),
    st.builds(Archive, assets=st.just((("main.py", Asset(path="main.py")),))),
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner | st.none()) | st.dictionaries(st.text(), inner | st.none()), max_leaves=20
)


@given(st.dictionaries(st.text(), VALUES))
def test_round_trip(props):
    assert from_struct(to_struct(props)) == props


@given(st.dictionaries(st.text(), VALUES))
def test_types_survive(props):
    def kinds(value):
        if isinstance(value, dict):
            return {key: kinds(item) for key, item in value.items()}
        return [kinds(item) for item in value] if isinstance(value, list) else type(value)

    assert kinds(from_struct(to_struct(props))) == kinds(props)


def test_a_null_property_is_no_property():
    assert from_struct(to_struct({"a": None, "b": [None]})) == {"b": [None]}


@pytest.mark.parametrize(
    ("signature", "fields", "value"),
    [
        ("1b47061264138c4ac30d75fd1eb44270", {"value": "hidden"}, "hidden"),
        ("d0e6a833031e9bbcd3f4e8bde6ca49a4", {"value": 3.0, "secret": True, "dependencies": []}, 3),
        ("d0e6a833031e9bbcd3f4e8bde6ca49a4", {"dependencies": []}, UNKNOWN),
        ("5cf8f73096256a8f31e491e813e4eb8e", {"urn": "urn:x", "id": "i-1"}, "i-1"),
        ("c44067f5952c0a294b673a41bacd8c17", {"path": "a.txt", "hash": "1"}, Asset(path="a.txt", hash="1")),
    ],
)
def test_signed_values_are_unwrapped(signature, fields, value):
    struct = struct_pb2.Struct()
    struct.update({"it": {"4dabf18193072939515e22adb298388d": signature, **fields}})
    assert from_struct(struct) == {"it": value}


def test_an_unknown_signature_is_refused():
    struct = struct_pb2.Struct()
    struct.update({"it": {"4dabf18193072939515e22adb298388d": "beef"}})
    with pytest.raises(ValueError, match="beef"):
        from_struct(struct)


def test_unknowns_of_every_kind_are_seen():
    struct = struct_pb2.Struct()
    struct.update({"number": "3eeb2bf0-c639-47a8-9e75-3b44932eb421", "list": ["6a19a0b0-7e62-4c92-b797-7f8e31da9cc2"]})
    assert from_struct(struct) == {"number": UNKNOWN, "list": [UNKNOWN]}


@given(VALUES)
def test_has_unknown_looks_inside(value):
    def inside(value):
        if isinstance(value, dict):
            return any(map(inside, value.values()))
        return any(map(inside, value)) if isinstance(value, list) else value is UNKNOWN

    assert has_unknown(value) == inside(value)
