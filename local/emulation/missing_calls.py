"""What moto lacks or answers differently and the components' resources need, each in a few lines on its own objects."""

import json
from typing import Any, cast

from moto.athena.models import AthenaBackend
from moto.athena.responses import AthenaResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.events.responses import EventsHandler
from moto.iam.responses import IamResponse
from moto.kafka.models import FakeKafkaCluster


def install() -> None:
    """Adds and mends them."""
    FakeKafkaCluster._generate_arn = _kafka_arn  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - all there is
    athena, iam, events = cast("Any", AthenaResponse), cast("Any", IamResponse), cast("Any", EventsHandler)
    athena.update_work_group = _update_work_group
    events.update_event_bus = _update_event_bus
    athena.list_tags_for_resource = _list_tags
    iam.add_client_id_to_open_id_connect_provider = _add_client_id
    iam.remove_client_id_from_open_id_connect_provider = _remove_client_id


def _update_work_group(response: Any) -> ActionResult:
    backend: AthenaBackend = response.athena_backend
    group = backend.work_groups[response._get_param("WorkGroup")]  # noqa: SLF001 - moto's own way to parameters
    group.description = response._get_param("Description") or group.description  # noqa: SLF001
    group.state = response._get_param("State") or group.state  # noqa: SLF001
    updates: dict[str, Any] = response._get_param("ConfigurationUpdates") or {}  # noqa: SLF001
    result: dict[str, Any] | None = updates.pop("ResultConfigurationUpdates", None)
    removes = [name for name, wanted in updates.items() if name.startswith("Remove") and wanted]
    group.configuration |= {name: value for name, value in updates.items() if not name.startswith("Remove")}
    for name in removes:
        group.configuration.pop(name.removeprefix("Remove"), None)
    if result is not None:
        group.configuration["ResultConfiguration"] = group.configuration.get("ResultConfiguration", {}) | result
    return EmptyResult()


def _list_tags(response: Any) -> ActionResult:
    """moto takes a resource without tags for one that is not there."""
    found = response.athena_backend.list_tags_for_resource(response._get_param("ResourceARN"))  # noqa: SLF001
    return ActionResult(found or {"Tags": []})


def _kafka_arn(cluster: Any) -> str:
    """AWS has the name in it, and one form for serverless clusters and others."""
    kind = f"{cluster.cluster_name}/{cluster.cluster_id}-s1"
    return f"arn:aws:kafka:{cluster.region_name}:{cluster.account_id}:cluster/{kind}"


def _update_event_bus(response: Any) -> tuple[str, dict[str, Any]]:
    bus = response.events_backend.describe_event_bus(response._get_param("Name"))  # noqa: SLF001
    bus.description = response._get_param("Description")  # noqa: SLF001
    bus.kms_key_identifier = response._get_param("KmsKeyIdentifier")  # noqa: SLF001
    bus.dead_letter_config = response._get_param("DeadLetterConfig")  # noqa: SLF001
    return json.dumps({"Arn": bus.arn, "Name": bus.name}), response.response_headers


def _add_client_id(response: Any) -> ActionResult:
    provider, client_id = _provider(response)
    if client_id not in provider.client_id_list:
        provider.client_id_list.append(client_id)
    return EmptyResult()


def _remove_client_id(response: Any) -> ActionResult:
    provider, client_id = _provider(response)
    if client_id in provider.client_id_list:
        provider.client_id_list.remove(client_id)
    return EmptyResult()


def _provider(response: Any) -> tuple[Any, str]:
    arn, client_id = (response._get_param(name) for name in ("OpenIDConnectProviderArn", "ClientID"))  # noqa: SLF001
    return response.backend.get_open_id_connect_provider(arn), client_id
