"""FeatureStore: one schema, two tables that agree on it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving.lookup import FeatureTable

from components.feature_store import FeatureStore
from components.features import TYPES, columns, offline_table, schema_digest

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"
CARRIERS = {"key": "carrier", "features": {"delay_7d": "double", "flights_7d": "bigint"}, "ttl_hours": 48}
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True).filter(lambda n: n not in {"date", "expires_at"})


@pytest.fixture
def make(provision):
    def run(groups=None, **how):
        args = {
            "environment": "prod",
            "groups": {"carriers": CARRIERS} if groups is None else groups,
            "kms_key_arn": KEY,
            "warehouse_bucket": "warehouse",
            "database": "slipway_prod",
            **how,
        }
        stores = []
        return provision(lambda: stores.append(FeatureStore("features", args))), stores[0]

    return run


def test_registers_an_online_and_an_offline_table_a_group(make):
    made, _ = make()
    assert made.types() == {
        "features": "slipway:index:FeatureStore",
        "features-carriers-online": "aws:dynamodb/table:Table",
        "features-carriers-offline": "aws:glue/catalogTable:CatalogTable",
    }
    assert {m.parent for m in made.resources.values()} == {"", "features"}


def test_the_online_table_is_on_demand_restorable_encrypted_and_expires_rows(make):
    table = make()[0].resources["features-carriers-online"].inputs
    assert table["name"] == "slipway-prod-features-carriers"
    assert table["billingMode"] == "PAY_PER_REQUEST"
    assert table["pointInTimeRecovery"] == {"enabled": True}
    assert table["serverSideEncryption"] == {"enabled": True, "kmsKeyArn": KEY}
    assert table["ttl"] == {"attributeName": "expires_at", "enabled": True}
    assert (table["hashKey"], table["attributes"]) == ("carrier", [{"name": "carrier", "type": "S"}])


def test_both_tables_agree_on_one_schema(make):
    made = make()[0].resources
    digest = made["features-carriers-online"].inputs["tags"]["slipway:schema"]
    offline = made["features-carriers-offline"].inputs
    assert offline["parameters"]["slipway.schema"] == digest == schema_digest("carriers", CARRIERS)
    assert [(c["name"], c["type"]) for c in offline["storageDescriptor"]["columns"]] == [
        ("carrier", "string"),
        ("event_time", "timestamp"),
        ("delay_7d", "double"),
        ("flights_7d", "bigint"),
    ]
    assert offline["storageDescriptor"]["location"] == "s3://warehouse/features/carriers/"
    assert offline["parameters"]["storage.location.template"] == "s3://warehouse/features/carriers/date=${date}/"
    assert [key["name"] for key in offline["partitionKeys"]] == ["date"]


def test_a_service_is_told_what_the_runtime_reads(make, settled):
    _, store = make()
    told = store.lookup("carriers")
    table = msgspec.convert({**told, "table": settled(told["table"])}, FeatureTable)
    assert table == FeatureTable("slipway-prod-features-carriers", "carrier", "string")


def test_protected_tables_stay(make):
    made = make(protected=True)[0].resources
    assert made["features-carriers-online"].protect
    assert made["features-carriers-offline"].protect
    assert made["features-carriers-online"].inputs["deletionProtectionEnabled"] is True


def test_outputs_by_group_even_when_there_is_none(make, settled):
    _, store = make()
    assert settled(store.online_tables) == {"carriers": "slipway-prod-features-carriers"}
    assert settled(store.offline_tables) == {"carriers": "features_carriers"}
    _, empty = make(groups={})
    assert settled(empty.online_tables) == {}


@given(NAMES, st.dictionaries(NAMES, st.sampled_from(sorted(TYPES)), max_size=8))
def test_any_group_has_its_key_first_and_each_column_once(key, features):
    spec = {"key": key, "features": {**features, key: "string"}, "event_time": "known_at"}
    found = list(columns("group", spec))
    assert found[:2] == [key, "known_at"] if key != "known_at" else True
    assert len(found) == len(set(found))
    assert offline_table("group", spec).columns == columns("group", spec)


@given(st.dictionaries(NAMES.filter(lambda n: n != "id"), st.sampled_from(sorted(TYPES)), min_size=1, max_size=8))
def test_another_schema_has_another_digest(features):
    spec = {"key": "id", "features": features}
    wider = {"key": "id", "features": {**features, "one_more_than_before": "double"}}
    assert schema_digest("group", spec) != schema_digest("group", wider)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"key": "id", "features": {"Temp": "double"}}, "column 'Temp': expected 1-63 of a-z"),
        ({"key": "id", "features": {"date": "string"}}, "column 'date': .*neither 'date'"),
        (
            {"key": "id", "features": {"temp": "float"}},
            "temp: expected one of string, bigint, double, boolean, got 'float'",
        ),
        ({"key": "id", "features": {"id": "double"}}, "key id: expected string or bigint, got double"),
    ],
)
def test_a_schema_that_a_store_cannot_have_is_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        columns("weather", spec)
