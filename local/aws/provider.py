"""The `aws` plugin: pulumi-aws's resource types on the local AWS emulation."""

import json
import os
from collections.abc import Mapping
from typing import Any, ClassVar

from local.aws import registry
from local.aws.errors import BotoCoreError, ClientError, explained
from local.aws.resource import AwsResource
from local.aws.session import Session, Settings
from local.provider.errors import Failure, InvalidError
from local.provider.resource import Provider
from local.provider.values import UNKNOWN, Props

VERSION = "7.51.1"
"""The pulumi-aws that it stands in for; a test compares it with the installed SDK."""
_DEFAULT_REGION = "eu-west-1"


class AwsProvider(Provider):
    """Knows the types in `local/aws/services/`."""

    name: ClassVar[str] = "aws"
    version: ClassVar[str] = VERSION

    def __init__(self) -> None:
        self._session = Session(_settings({}))

    def check_config(self, news: Props) -> Props:
        """Takes the provider's inputs; the region must be a word."""
        region = _decoded(news.get("region"))
        if region is not None and region is not UNKNOWN and not isinstance(region, str):
            raise InvalidError([Failure("region", f"region must be a string, got {region!r}")])
        return news

    def configure(self, config: Props) -> None:
        """Takes region and default tags; what concerns real accounts (keys, profiles) has no meaning."""
        self._session = Session(_settings(config))

    def resource_type(self, token: str) -> AwsResource:
        """The type, in this provider's region."""
        return AwsResource(registry.definition(token), self._session)

    def invoke(self, token: str, args: Mapping[str, Any]) -> Props:
        """Calls a function such as `aws:index/getCallerIdentity:getCallerIdentity`."""
        function = registry.function(token)
        try:
            return function(self._session, args)
        except (ClientError, BotoCoreError) as error:
            raise explained(error, token, "") from error


def _settings(config: Props) -> Settings:
    region = _decoded(config.get("region"))
    tags: dict[str, Any] = _decoded(config.get("defaultTags")) or {}
    environment = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or _DEFAULT_REGION
    wanted: dict[str, Any] = tags.get("tags") or {}
    return Settings(
        region=region if isinstance(region, str) and region else environment,
        default_tags={key: str(value) for key, value in wanted.items() if value is not UNKNOWN},
    )


def _decoded(value: Any) -> Any:
    """A provider's inputs arrive as JSON when they are not strings."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        return json.loads(value)
    return value
