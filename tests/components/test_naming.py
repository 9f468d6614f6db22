"""Names hold for every name that the config accepts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.naming import Limit, bucket_name, fit, identifier, label_value, named, require_name

NAMES = st.from_regex(r"([a-z][a-z0-9-]{0,38}[a-z0-9]|[a-z])", fullmatch=True)
ENVIRONMENTS = st.sampled_from(["local", "dev", "staging", "prod"])
VERSIONS = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,31}", fullmatch=True)
REGIONS = st.sampled_from(["eu-west-1", "ap-southeast-2", "us-gov-west-1", "cn-northwest-1"])


@given(ENVIRONMENTS, NAMES, st.sampled_from(["rest", "batch", "stream-failures", "retraining-requests"]))
def test_every_name_fits_every_limit(environment, service, part):
    for limit in Limit:
        name = named(environment, service, part, limit=limit)
        assert len(name) <= limit
        assert re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", name)


@given(NAMES, NAMES, st.integers(min_value=12, max_value=64))
def test_two_names_never_become_one(one, other, limit):
    assert (fit(one, limit) == fit(other, limit)) == (one == other)


@given(NAMES, st.integers(min_value=40, max_value=64))
def test_a_name_that_fits_stays_as_it_is(name, limit):
    assert fit(name, limit) == name


@given(ENVIRONMENTS, st.sampled_from(["models", "capture", "outcomes", "warehouse"]), REGIONS)
def test_bucket_names_follow_the_rules_of_s3(environment, purpose, region):
    name = bucket_name(environment, purpose, "123456789012", region)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", name)
    assert name.endswith(region)


@given(VERSIONS)
def test_every_version_makes_a_label(version):
    label = label_value(version)
    assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", label)
    if version[-1].isalnum():
        assert label == version


@given(VERSIONS, VERSIONS)
def test_two_versions_never_share_a_label(one, other):
    assert (label_value(one) == label_value(other)) == (one == other)


@given(NAMES)
def test_identifiers_need_no_quotes_in_athena(name):
    assert re.fullmatch(r"slipway_[a-z0-9_]+", identifier("slipway", name))


@given(NAMES)
def test_names_that_the_config_accepts_pass(name):
    assert require_name("service", name) == name


@pytest.mark.parametrize("name", ["", "A", "a-", "-a", "1a", "a_b", "a" * 41, "ä"])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="expected 1-40 lower-case letters"):
        require_name("service", name)
