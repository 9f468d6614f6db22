"""A bucket policy's statements with conditions do not shut everybody out; those without do."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.emulation.server import serve


def statement(**condition: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::bucket/*"} | condition


def test_only_unconditional_statements_count(tmp_path: Path):
    emulation = serve(tmp_path / "aws", "eu-west-1")
    try:
        s3 = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{emulation.port}",
            region_name="eu-west-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )
        s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        only_tls = statement(Condition={"Bool": {"aws:SecureTransport": "false"}})
        s3.put_bucket_policy(Bucket="bucket", Policy=json.dumps({"Version": "2012-10-17", "Statement": [only_tls]}))
        s3.put_object(Bucket="bucket", Key="k", Body=b"content")
        assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"content"
        both = {"Version": "2012-10-17", "Statement": [only_tls, statement()]}
        s3.put_bucket_policy(Bucket="bucket", Policy=json.dumps(both))
        with pytest.raises(ClientError, match="403"):
            s3.get_object(Bucket="bucket", Key="k")
    finally:
        emulation.shutdown()
