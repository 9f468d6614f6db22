"""`slipway run SERVICE batch` as a user runs it: a Job on the node, rows from a file to the warehouse."""

import io
import json
import subprocess
import sys
from pathlib import Path

import boto3
import pyarrow.parquet as pq
import pytest
from checkout import REPOSITORY, Checkout

pytestmark = pytest.mark.integration


def content(checkout: Checkout, uri: str) -> bytes:
    s3 = boto3.client(
        "s3",
        endpoint_url=checkout.answer("status")["aws_endpoint"],
        region_name="eu-west-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def test_tomorrows_flights_are_scored_now(checkout: Checkout, tmp_path: Path) -> None:
    file = tmp_path / "tomorrow.parquet"
    command = [sys.executable, "-m", "examples.flight_delay.schedule", "--out", str(file), "--day", "07-04"]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    given = pq.read_table(file)
    printed = checkout.slipway("run", "flight-delay", "batch", "--input", str(file))
    assert f"flight-delay scored {given.num_rows} rows with flight-delay 1" in printed
    assert len(printed.splitlines()) <= 12
    (result,) = [line.split()[1] for line in printed.splitlines() if line.startswith("  result")]
    found = pq.read_table(io.BytesIO(content(checkout, result)))
    assert [dict(keys)["flight"] for keys in found["keys"].to_pylist()] == [str(n) for n in given["flight"].to_pylist()]
    # The same row online: the same answer.
    row = {name: given[name][0].as_py() for name in given.column_names if name != "flight"}
    pairs = [f"{name}={json.dumps(value)}" for name, value in row.items() if value is not None]
    (online,) = checkout.answer("predict", "flight-delay", *pairs)["predictions"]
    assert dict(found["outputs"][0].as_py())["probability"] == pytest.approx(online["probability"], abs=1e-6)


def test_a_run_that_fails_says_so_in_the_pods_words(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 nonsense")
    done = checkout.run("run", "flight-delay", "batch", "--input", str(tmp_path / "broken.parquet"))
    assert done.returncode == 1
    assert "container batch exited with 78 (config)" in done.stderr
    assert "broken.parquet: not a Parquet file" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_cannot_be_run_is_said(checkout: Checkout, tmp_path: Path) -> None:
    assert "expected batch, got 'rest'" in checkout.run("run", "flight-delay", "rest").stderr
    (tmp_path / "rows.csv").write_text("carrier\nUA\n")
    refused = checkout.run("run", "flight-delay", "batch", "--input", str(tmp_path / "rows.csv"))
    assert refused.returncode == 2
    assert "the batch of flight-delay reads parquet" in refused.stderr
