"""The rules an API server holds objects to, as far as breaking them would mislead somebody on this node."""

import base64
import binascii
import re
import zoneinfo
from typing import Any

from cronsim import CronSim, CronSimError

from local.node.objects import Object, items_of, now, section, selector_matches

Causes = list[tuple[str, str]]

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
DNS_LABELS = {"Namespace", "Service"}
FREE_NAMES = {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
MACROS = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
          "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *"}  # fmt: skip


def causes_against(item: Object, before: Object | None) -> Causes:
    """What is wrong with an object: (field, message) each. `before` is what it would replace."""
    found = _metadata(item)
    spec: Object = section(item, "spec")
    match item["kind"]:
        case "Pod":
            found += _pod(spec, "spec")
        case "Deployment" | "ReplicaSet":
            found += _replicated(spec) + _immutable(item, before, "selector")
        case "Job":
            found += _job(spec, "spec") + _immutable(item, before, "template", "selector", "completionMode")
        case "CronJob":
            found += _cron_job(spec)
        case "Service":
            found += _service(spec)
        case "ConfigMap" | "Secret":
            found += _data(item, before)
        case _:
            pass
    return found


def _metadata(item: Object) -> Causes:
    meta, kind = item["metadata"], item["kind"]
    name = meta.get("name") or ""
    found: Causes = []
    if not name:
        found.append(("metadata.name", "Required value: name or generateName is required"))
    elif kind in DNS_LABELS and (len(name) > 63 or not LABEL.fullmatch(name)):
        found.append(("metadata.name", f'Invalid value: "{name}": must be at most 63 of a-z, 0-9 and "-"'))
    elif kind not in FREE_NAMES and (len(name) > 253 or not SUBDOMAIN.fullmatch(name)):
        found.append(("metadata.name", f'Invalid value: "{name}": must be at most 253 of a-z, 0-9, "-" and "."'))
    for key, value in section(meta, "labels").items():
        if not isinstance(value, str) or len(value) > 63 or not LABEL_VALUE.fullmatch(value):
            message = f'Invalid value: "{value}": must be at most 63 letters, digits, "-", "_" and ".", as text'
            found.append((f"metadata.labels.{key}", message))
    for key, value in section(meta, "annotations").items():
        if not isinstance(value, str):
            found.append((f"metadata.annotations.{key}", f'Invalid value: "{value}": must be text'))
    return found


def _immutable(item: Object, before: Object | None, *fields: str) -> Causes:
    if before is None:
        return []
    old, new = section(before, "spec"), section(item, "spec")
    return [(f"spec.{f}", "Invalid value: field is immutable") for f in fields if old.get(f) != new.get(f)]


def _replicated(spec: Object) -> Causes:
    found: Causes = []
    selector, template = section(spec, "selector"), section(spec, "template")
    labels = section(section(template, "metadata"), "labels")
    if not selector:
        found.append(("spec.selector", "Required value"))
    elif not selector_matches(selector, labels):
        found.append(("spec.template.metadata.labels", f"Invalid value: {labels}: `selector` does not match them"))
    replicas = spec.get("replicas", 1)
    if not isinstance(replicas, int) or replicas < 0:
        found.append(("spec.replicas", f"Invalid value: {replicas}: must be a whole number, 0 or more"))
    pod: Object = section(template, "spec")
    if pod.get("restartPolicy", "Always") != "Always":
        found.append(("spec.template.spec.restartPolicy", 'Unsupported value: supported values: "Always"'))
    return found + _pod(pod, "spec.template.spec")


def _job(spec: Object, at: str) -> Causes:
    pod: Object = section(spec, "template").get("spec") or {}
    found = _pod(pod, f"{at}.template.spec")
    if pod.get("restartPolicy") not in {"Never", "OnFailure"}:
        message = 'Required value: valid values: "OnFailure", "Never"'
        found.append((f"{at}.template.spec.restartPolicy", message))
    if spec.get("completionMode") == "Indexed" and not isinstance(spec.get("completions"), int):
        found.append((f"{at}.completions", "Required value: when completion mode is Indexed"))
    if "backoffLimitPerIndex" in spec and spec.get("completionMode") != "Indexed":
        found.append((f"{at}.backoffLimitPerIndex", "Invalid value: needs completionMode Indexed"))
    for field in ("parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished"):
        value = spec.get(field, 0)
        if not isinstance(value, int) or value < 0:
            found.append((f"{at}.{field}", f"Invalid value: {value}: must be a whole number, 0 or more"))
    return found


def _cron_job(spec: Object) -> Causes:
    found = _job(section(spec, "jobTemplate").get("spec") or {}, "spec.jobTemplate.spec")
    try:
        schedule(str(spec.get("schedule", "")))
    except ValueError as error:
        found.append(("spec.schedule", f'Invalid value: "{spec.get("schedule", "")}": {error}'))
    zone = spec.get("timeZone")
    if zone is not None:
        try:
            zoneinfo.ZoneInfo(zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            found.append(("spec.timeZone", f'Invalid value: "{zone}": unknown time zone'))
    if spec.get("concurrencyPolicy", "Allow") not in {"Allow", "Forbid", "Replace"}:
        found.append(("spec.concurrencyPolicy", 'Unsupported value: supported values: "Allow", "Forbid", "Replace"'))
    return found


def schedule(text: str) -> str:
    """A CronJob's schedule as five cron fields. Raises ValueError."""
    five = MACROS.get(text, text)
    if len(five.split()) != 5:
        raise ValueError("expected five fields: minute, hour, day of month, month, day of week")
    try:
        CronSim(five, now())
    except CronSimError as error:
        raise ValueError(str(error)) from error
    return five


def _pod(spec: Object, at: str) -> Causes:
    found: Causes = []
    volumes = {v.get("name") for v in items_of(spec, "volumes")}
    if not spec.get("containers"):
        found.append((f"{at}.containers", "Required value"))
    seen: set[str] = set()
    for group in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(group) or []):
            where = f"{at}.{group}[{index}]"
            found += _container(container, where, volumes)
            if container.get("name") in seen:
                found.append((f"{where}.name", f'Duplicate value: "{container["name"]}"'))
            seen.add(str(container.get("name")))
    if spec.get("restartPolicy", "Always") not in {"Always", "OnFailure", "Never"}:
        found.append((f"{at}.restartPolicy", 'Unsupported value: supported values: "Always", "OnFailure", "Never"'))
    return found


def _container(container: Object, at: str, volumes: set[Any]) -> Causes:
    found: Causes = [(f"{at}.{field}", "Required value") for field in ("name", "image") if not container.get(field)]
    for index, mount in enumerate(items_of(container, "volumeMounts")):
        if mount.get("name") not in volumes:
            found.append((f"{at}.volumeMounts[{index}].name", f'Not found: "{mount.get("name")}"'))
    for index, variable in enumerate(items_of(container, "env")):
        if not variable.get("name"):
            found.append((f"{at}.env[{index}].name", "Required value"))
        if not isinstance(variable.get("value", ""), str):
            message = f"Invalid value: {variable['value']}: must be text"
            found.append((f"{at}.env[{index}].value", message))
    for index, port in enumerate(items_of(container, "ports")):
        number = port.get("containerPort")
        if not isinstance(number, int) or not 0 < number < 65536:
            found.append((f"{at}.ports[{index}].containerPort", f"Invalid value: {number}: must be 1 to 65535"))
    return found


def _service(spec: Object) -> Causes:
    found: Causes = []
    ports = items_of(spec, "ports")
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        found.append(("spec.ports", "Required value"))
    for index, port in enumerate(ports):
        number = port.get("port")
        if not isinstance(number, int) or not 0 < number < 65536:
            found.append((f"spec.ports[{index}].port", f"Invalid value: {number}: must be 1 to 65535"))
        if len(ports) > 1 and not port.get("name"):
            found.append((f"spec.ports[{index}].name", "Required value"))
    return found


def _data(item: Object, before: Object | None) -> Causes:
    found: Causes = []
    content = {field: section(item, field) for field in ("data", "binaryData")}
    if before is not None and before.get("immutable"):
        same = all(section(before, f) == value for f, value in content.items()) and item.get("immutable")
        if not same:
            found.append(("data", "Forbidden: field is immutable when `immutable` is set"))
    encoded = ("data",) if item["kind"] == "Secret" else ("binaryData",)
    for field in encoded:
        for key, value in content[field].items():
            try:
                base64.b64decode(value, validate=True)
            except (binascii.Error, TypeError, ValueError):
                found.append((f"{field}.{key}", "Invalid value: must be base64"))
    if item["kind"] == "ConfigMap":
        found += [
            (f"data.{k}", "Invalid value: must be text") for k, v in content["data"].items() if type(v) is not str
        ]
    return found
