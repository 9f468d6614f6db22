"""The entry that docs/local-types.md shows does what the page says."""

import re
from pathlib import Path

import pytest

from local.aws.resource import AwsResource
from local.aws.session import Session, Settings
from local.provider.resource import Call

pytestmark = pytest.mark.integration
PAGE = Path(__file__).parents[3] / "docs" / "local-types.md"


def test_the_documented_lambda_works(environment, aws):
    (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    module: dict = {}
    exec(compile(source, str(PAGE), "exec"), module)
    (definition,) = module["TYPES"]
    function = AwsResource(definition, Session(Settings("eu-west-1")))
    call = Call(urn="urn:pulumi:local::p::aws:lambda/function:Function::scorer", name="scorer", token=definition.token)

    inputs = function.check(
        call,
        {},
        {
            "name": "scorer",
            "role": "arn:aws:iam::123456789012:role/there",
            "packageType": "Image",
            "imageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/there:1",
            "timeout": 30,
            "environment": {"variables": {"SLIPWAY_ENVIRONMENT": "local"}},
            "tags": {"a": "b"},
        },
    )
    made = function.create(call, inputs)
    assert made.outputs["arn"] == "arn:aws:lambda:eu-west-1:123456789012:function:scorer"
    assert made.outputs["__kept"] == []
    assert function.read(call, made.id, made.outputs) == made.outputs

    news = {**inputs, "timeout": 60, "tags": {"c": "d"}}
    updated = function.update(call, made.id, made.outputs, inputs, news)
    assert aws.client("lambda").get_function(FunctionName="scorer")["Configuration"]["Timeout"] == 60
    assert function.read(call, made.id, updated) == updated
    function.delete(call, made.id, updated)
    assert function.read(call, made.id, updated) is None
