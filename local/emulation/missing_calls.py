"""What moto lacks or answers differently and the components' resources need, each in a few lines on its own objects.

Installed service by service, when the first request for one comes: importing them all would delay every start.
"""

# moto's own way to a request's parameters is a private method.
# ruff: noqa: SLF001

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult, EmptyResult


def install(service: str) -> None:
    """Adds and mends the calls of one service."""
    for mend in _MENDS.get(service, ()):
        mend()


def _athena() -> None:
    from moto.athena.models import AthenaBackend
    from moto.athena.responses import AthenaResponse

    _refuse_unknown(AthenaBackend, "get_named_query", "named_queries", "query_id")
    cast("Any", AthenaBackend).list_tags_for_resource = _list_tags
    responses = cast("Any", AthenaResponse)
    responses.update_work_group = _update_work_group
    responses.delete_named_query = _forgetting("athena_backend", "named_queries", "NamedQueryId")
    responses.delete_data_catalog = _forgetting("athena_backend", "data_catalogs", "Name")
    responses.update_data_catalog = _update_data_catalog


def _list_tags(backend: Any, resource_arn: str) -> dict[str, Any]:
    """moto says of what has no tags that it does not exist."""
    return backend.tagger.list_tags_for_resource(resource_arn)


def _update_work_group(response: Any) -> ActionResult:
    group = response.athena_backend.work_groups[response._get_param("WorkGroup")]
    group.description = response._get_param("Description") or group.description
    group.state = response._get_param("State") or group.state
    updates: dict[str, Any] = response._get_param("ConfigurationUpdates") or {}
    result: dict[str, Any] | None = updates.pop("ResultConfigurationUpdates", None)
    group.configuration |= {name: value for name, value in updates.items() if not name.startswith("Remove")}
    for name in (name for name, wanted in updates.items() if name.startswith("Remove") and wanted):
        group.configuration.pop(name.removeprefix("Remove"), None)
    if result is not None:
        group.configuration["ResultConfiguration"] = group.configuration.get("ResultConfiguration", {}) | result
    return EmptyResult()


def _update_data_catalog(response: Any) -> ActionResult:
    catalog = response.athena_backend.data_catalogs[response._get_param("Name")]
    catalog.description = response._get_param("Description")
    catalog.parameters = response._get_param("Parameters")
    return EmptyResult()


def _iam() -> None:
    from moto.iam.responses import IamResponse

    responses = cast("Any", IamResponse)
    responses.add_client_id_to_open_id_connect_provider = _add_client_id
    responses.remove_client_id_from_open_id_connect_provider = _remove_client_id


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
    arn, client_id = (response._get_param(name) for name in ("OpenIDConnectProviderArn", "ClientID"))
    return response.backend.get_open_id_connect_provider(arn), client_id


def _events() -> None:
    from moto.events.responses import EventsHandler

    cast("Any", EventsHandler).update_event_bus = _update_event_bus


def _update_event_bus(response: Any) -> tuple[str, dict[str, Any]]:
    bus = response.events_backend.describe_event_bus(response._get_param("Name"))
    bus.description = response._get_param("Description")
    bus.kms_key_identifier = response._get_param("KmsKeyIdentifier")
    bus.dead_letter_config = response._get_param("DeadLetterConfig")
    return json.dumps({"Arn": bus.arn, "Name": bus.name}), response.response_headers


def _logs() -> None:
    from moto.logs.responses import LogsResponse

    responses = cast("Any", LogsResponse)
    responses.associate_kms_key = responses.disassociate_kms_key = _set_log_key


def _set_log_key(response: Any) -> str:
    """Without a key in the request, the group loses its own."""
    response.logs_backend.groups[response._get_param("logGroupName")].kms_key_id = response._get_param("kmsKeyId")
    return ""


def _kafka() -> None:
    from moto.kafka.models import FakeKafkaCluster, KafkaBackend

    cast("Any", FakeKafkaCluster)._generate_arn = _kafka_arn
    for method in ("describe_cluster", "describe_cluster_v2", "delete_cluster"):
        _refuse_unknown(KafkaBackend, method, "clusters", "cluster_arn")


def _kafka_arn(cluster: Any) -> str:
    """AWS has the name in it, and one form for serverless clusters and others."""
    kind = f"{cluster.cluster_name}/{cluster.cluster_id}-s1"
    return f"arn:aws:kafka:{cluster.region_name}:{cluster.account_id}:cluster/{kind}"


def _scheduler() -> None:
    from moto.scheduler.models import EventBridgeSchedulerBackend

    _refuse_unknown(EventBridgeSchedulerBackend, "delete_schedule_group", "schedule_groups", "name")


def _sqs() -> None:
    from moto.sqs.models import Queue

    queue = cast("Any", Queue)
    original = queue._set_attributes

    def set_attributes(self: Any, attributes: dict[str, Any], now: float | None = None) -> None:
        """moto forgets the policy whenever another attribute is set."""
        original(self, attributes if "Policy" in attributes else attributes | {"Policy": self.policy}, now)

    queue._set_attributes = set_attributes


_MENDS: Mapping[str, tuple[Callable[[], None], ...]] = {
    "athena": (_athena,),
    "iam": (_iam,),
    "events": (_events,),
    "logs": (_logs,),
    "kafka": (_kafka,),
    "scheduler": (_scheduler,),
    "sqs": (_sqs,),
}


def _forgetting(backend: str, shelf: str, parameter: str) -> Callable[[Any], ActionResult]:
    """A call that takes one object off a backend's shelf."""

    def forget(response: Any) -> ActionResult:
        name = response._get_param(parameter)
        if getattr(getattr(response, backend), shelf).pop(name, None) is None:
            raise JsonRESTError("InvalidRequestException", f"{parameter} {name} was not found")
        return EmptyResult()

    return forget


def _refuse_unknown(backend_class: Any, method: str, shelf: str, parameter: str) -> None:
    """Where moto ends in a KeyError for what it does not have, AWS says that it was not found."""
    original = getattr(backend_class, method)

    def checked(backend: Any, *args: Any, **kw: Any) -> Any:
        name = kw.get(parameter, args[0] if args else None)
        if name not in getattr(backend, shelf):
            raise JsonRESTError("NotFoundException", f"{name} was not found")
        return original(backend, *args, **kw)

    setattr(backend_class, method, checked)
