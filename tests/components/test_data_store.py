"""DataStore: private, TLS-only, encrypted with one key, protected where it matters."""

import json

import pytest
from pulumi.runtime import rpc

from components.data_store import DataStore

PURPOSES = ("models", "capture", "outcomes", "warehouse")


@pytest.fixture
def make(provision):
    return lambda how=None, **options: provision(
        lambda: DataStore("data", {"environment": "prod", **(how or {})}), **options
    )


def test_registers_exactly_these(make):
    expected = {
        "data": "slipway:index:DataStore",
        "data-key": "aws:kms/key:Key",
        "data-key-alias": "aws:kms/alias:Alias",
        "data-database": "aws:glue/catalogDatabase:CatalogDatabase",
        "data-capture-table": "aws:glue/catalogTable:CatalogTable",
        "data-outcomes-table": "aws:glue/catalogTable:CatalogTable",
        "data-predictions-table": "aws:glue/catalogTable:CatalogTable",
        "data-workgroup": "aws:athena/workgroup:Workgroup",
    }
    for purpose in PURPOSES:
        expected |= {
            f"data-{purpose}": "aws:s3/bucket:Bucket",
            f"data-{purpose}-private": "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
            f"data-{purpose}-ownership": "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
            f"data-{purpose}-encryption": (
                "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
            ),
            f"data-{purpose}-lifecycle": "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
            f"data-{purpose}-tls-only": "aws:s3/bucketPolicy:BucketPolicy",
        }
        if purpose != "capture":
            expected[f"data-{purpose}-versioning"] = "aws:s3/bucketVersioning:BucketVersioning"
    made = make()
    assert made.types() == expected
    assert {m.parent for m in made.resources.values()} == {"", "data"}


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_bucket_is_private_encrypted_and_speaks_tls_only(make, purpose):
    made = make().resources
    assert made[f"data-{purpose}"].inputs["bucket"] == f"slipway-prod-{purpose}-123456789012-eu-west-1"
    private = made[f"data-{purpose}-private"].inputs
    assert [private[k] for k in private if k != "bucket"] == [True] * 4
    assert made[f"data-{purpose}-ownership"].inputs["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    (rule,) = made[f"data-{purpose}-encryption"].inputs["rules"]
    assert rule["bucketKeyEnabled"] is True
    assert rule["applyServerSideEncryptionByDefault"] == {
        "sseAlgorithm": "aws:kms",
        "kmsMasterKeyId": "arn:aws:kms:eu-west-1:123456789012:data-key",
    }
    policy = made[f"data-{purpose}-tls-only"].json("policy")
    assert [s["Sid"] for s in policy["Statement"]] == ["RefusePlainHttp", "RefuseOldTls", "RefuseOtherAccounts"]
    assert {s["Effect"] for s in policy["Statement"]} == {"Deny"}


def test_the_key_rotates_and_is_open_to_named_services_of_this_account_only(make):
    key = make().resources["data-key"]
    assert key.inputs["enableKeyRotation"] is True
    statements = {s["Sid"]: s for s in key.json("policy")["Statement"]}
    assert statements["IamDecides"]["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    assert statements["LogGroups"]["Condition"] == {
        "ArnLike": {"kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:eu-west-1:123456789012:log-group:*"}
    }
    assert statements["MessagesOfServices"]["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_an_existing_key_is_taken(make):
    made = make({"kms_key_arn": "arn:aws:kms:eu-west-1:123456789012:key/theirs"})
    assert not made.of_type("aws:kms/key:Key")
    (rule,) = made.resources["data-models-encryption"].inputs["rules"]
    assert rule["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"].endswith("key/theirs")


@pytest.mark.parametrize("protected", [True, False])
def test_protected_data_cannot_be_deleted_and_other_data_goes_with_the_stack(make, protected):
    made = make({"protected": protected}).resources
    holding = ["data-key", "data-database", *(f"data-{purpose}" for purpose in PURPOSES)]
    assert {made[name].protect for name in holding} == {protected}
    assert {made[f"data-{purpose}"].inputs["forceDestroy"] for purpose in PURPOSES} == {not protected}
    assert made["data-workgroup"].inputs["forceDestroy"] is not protected


def test_capture_expires_when_told(make):
    rules = make({"capture_retention_days": 30}).resources["data-capture-lifecycle"].inputs["rules"]
    assert {r["id"]: r.get("expiration") for r in rules} == {"abandoned-uploads": None, "expire": {"days": 30}}


def test_a_query_stops_at_the_scan_limit_and_its_results_are_encrypted(make):
    configuration = make({"scan_limit_gib": 5}).resources["data-workgroup"].inputs["configuration"]
    assert configuration["enforceWorkgroupConfiguration"] is True
    assert configuration["bytesScannedCutoffPerQuery"] == 5 * 1024**3
    assert configuration["resultConfiguration"]["encryptionConfiguration"]["encryptionOption"] == "SSE_KMS"


def test_tables_project_the_layout_that_capture_writes(make):
    table = make().resources["data-capture-table"].inputs
    bucket = "slipway-prod-capture-123456789012-eu-west-1"
    assert (
        table["parameters"]["storage.location.template"] == f"s3://{bucket}/${{service}}/date=${{date}}/hour=${{hour}}/"
    )
    assert [key["name"] for key in table["partitionKeys"]] == ["service", "date", "hour"]
    keys = {p.split(".")[1] for p in table["parameters"] if p.startswith("projection.") and p.endswith(".type")}
    assert keys == {"service", "date", "hour"}


def test_who_uses_a_bucket_waits_for_its_settings(provision, settled):
    stores = []
    provision(lambda: stores.append(DataStore("data", {"environment": "prod"})))
    waits_for = {r._name for r in settled_resources(stores[0].models_bucket, settled)}
    assert {"data-models-private", "data-models-encryption", "data-models-tls-only"} <= waits_for


def settled_resources(output, settled):
    import asyncio

    return asyncio.get_event_loop().run_until_complete(output.resources())


def test_unknowns_of_a_preview_survive(make):
    made = make(preview=True)
    assert (
        json.loads(json.dumps(made.resources["data-models-encryption"].raw["rules"]))[0][
            "applyServerSideEncryptionByDefault"
        ]["kmsMasterKeyId"]
        == rpc.UNKNOWN
    )
    assert made.resources["data-models"].inputs["bucket"].startswith("slipway-prod-models-")
