"""Rules between keys: each says what is wrong at which path, and what to do.

They are functions of a whole config rather than pydantic validators, so that a typo in one section does not hide
what is wrong in another: `check` runs them on all that is valid. `environment_rules` has those of one environment.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Network
from itertools import combinations
from typing import Any, cast

from pydantic import BaseModel

from stacks.config import vocabulary as v
from stacks.config.keys import Path, near_miss
from stacks.config.mistakes import Mistake, address
from stacks.config.model import StackConfig
from stacks.config.platform import Pool
from stacks.config.services import PATTERNS, Rest, Service, Workload

Rule = Callable[[StackConfig], Iterator[Mistake]]
_PRIVATE = tuple(IPv4Network(network) for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
"""Private networks (RFC 1918)."""


def services_are_whole(config: StackConfig) -> Iterator[Mistake]:
    """A service has a pattern, a whole model version, and bounds in order."""
    for at, service in services(config):
        if not (service.rest or service.batch or service.stream):
            yield Mistake(
                at, "has no pattern; give it rest, batch or stream ({} takes the defaults of rest and stream)"
            )
        model = service.model
        if bool(model.version) != bool(model.digest):
            missing = "digest" if model.version else "version"
            yield Mistake(
                (*at, "model"), f"has no {missing}; version and digest go together, as `slipway release` writes them"
            )
        for pattern in ("rest", "stream"):
            if (workload := getattr(service, pattern)) and workload.replicas.min > workload.replicas.max:
                bounds = workload.replicas
                path = (*at, pattern, "replicas", "min")
                yield Mistake(path, f"must be at most max ({bounds.max}), got {bounds.min}")
        for name, metric in service.business_metrics.items():
            path = (*at, "business_metrics", name)
            if metric.min is None and metric.max is None:
                yield Mistake(path, "has no bound; give it min, max or both")
            elif metric.min is not None and metric.max is not None and metric.min > metric.max:
                yield Mistake((*path, "min"), f"must be at most max ({metric.max:g}), got {metric.min:g}")


def streams_say_what_their_source_needs(config: StackConfig) -> Iterator[Mistake]:
    """`kafka` and `kinesis` belong to their source."""
    for at, service in services(config):
        if not (stream := service.stream):
            continue
        for source in (v.Source.KAFKA, v.Source.KINESIS):
            if getattr(stream, source) and stream.source != source:
                path = (*at, "stream", source.value)
                yield Mistake(path, f"is not used, the source is {stream.source}; remove it or set source: {source}")
        if stream.source == v.Source.KAFKA and not stream.kafka:
            yield Mistake((*at, "stream", "kafka"), "is required, the source is kafka; give it at least a topic")
        if stream.kafka and stream.kafka.cluster_arn and stream.kafka.brokers:
            path = (*at, "stream", "kafka", "brokers")
            yield Mistake(path, "is not used with cluster_arn, whose brokers are looked up; remove one of the two")


def workloads_find_their_pool(config: StackConfig) -> Iterator[Mistake]:
    """A named pool exists and has what the pods need."""
    pools = config.platform.pools
    for path, workload in workloads(config):
        pool = pools.get(workload.pool) if workload.pool else None
        gpus = workload.resources.gpus
        if workload.pool and not pool:
            yield Mistake((*path, "pool"), _not_there(workload.pool, pools, ("platform", "pools")))
        elif gpus and (pool is None or pool.hardware != v.Hardware.GPU):
            have = f"pool {workload.pool} has none" if pool else "no pool is named"
            yield Mistake((*path, "resources", "gpus"), f"needs a pool with hardware: gpu, {have}")
        elif pool and pool.hardware == v.Hardware.GPU and not gpus:
            yield Mistake((*path, "pool"), f"{workload.pool} is a GPU pool; set resources.gpus or take another pool")


def pools_are_of_one_hardware(config: StackConfig) -> Iterator[Mistake]:
    """Instance families fit the pool's hardware."""
    for name, pool in config.platform.pools.items():
        fitting = v.GPU_FAMILIES if pool.hardware == v.Hardware.GPU else v.CPU_FAMILIES
        for index, family in enumerate(pool.families):
            if family not in fitting:
                path = ("platform", "pools", name, "families", index)
                yield Mistake(path, f"{family} has {_other(pool)}, the pool's hardware is {pool.hardware}")


def features_exist(config: StackConfig) -> Iterator[Mistake]:
    """Services name feature groups that there are, and a group's columns are different ones."""
    groups = config.platform.feature_groups
    for at, service in services(config):
        for index, name in enumerate(service.features):
            if name not in groups:
                yield Mistake((*at, "features", index), _not_there(name, groups, ("platform", "feature_groups")))
    for name, group in groups.items():
        path = ("platform", "feature_groups", name)
        if group.key == group.event_time:
            yield Mistake((*path, "event_time"), f"must be another column than key ({group.key})")
        for column in {group.key, group.event_time} & group.features.keys():
            yield Mistake((*path, "features", column), "is the key or event_time already; remove it here")


def retraining_can_start(config: StackConfig) -> Iterator[Mistake]:
    """What starts a retraining is measured, and a schedule is there exactly when it is a reason."""
    for at, service in services(config):
        if not (retraining := service.retraining):
            continue
        path = (*at, "retraining")
        if v.Reason.DRIFT in retraining.on and not service.drift.enabled:
            yield Mistake((*path, "on"), "names drift, which is not measured; set drift.enabled or remove it")
        if v.Reason.SCHEDULE in retraining.on and not retraining.schedule:
            yield Mistake((*path, "schedule"), "is required, `on` names schedule")
        if retraining.schedule and v.Reason.SCHEDULE not in retraining.on:
            yield Mistake((*path, "schedule"), "is not used; add schedule to `on` or remove it")


def ingresses_are_guarded(config: StackConfig) -> Iterator[Mistake]:
    """A public service asks who is there; a host belongs to one service."""
    hosts: dict[str, Path] = {}
    for at, service in services(config):
        ingress = service.rest.ingress if service.rest else None
        if not ingress:
            continue
        path = (*at, "rest", "ingress")
        if ingress.public and not ingress.auth:
            yield Mistake((*path, "auth"), "is required for a public service; give it api_keys_arn or oidc")
        if ingress.auth and bool(ingress.auth.api_keys_arn) == bool(ingress.auth.oidc):
            yield Mistake((*path, "auth"), "must have exactly one of api_keys_arn and oidc")
        existing = config.platform.network.existing
        if ingress.public and existing and not existing.public_subnet_ids:
            where = ("platform", "network", "existing", "public_subnet_ids")
            yield Mistake(where, f"is required, {address(path)} is public")
        if ingress.host in hosts:
            yield Mistake((*path, "host"), f"is the host of {address(hosts[ingress.host])} already")
        hosts.setdefault(ingress.host, path)


def networks_do_not_overlap(config: StackConfig) -> Iterator[Mistake]:
    """Addresses of the VPC, of Services and of connected networks are different ones; the VPC has room."""
    network, cluster = config.platform.network, config.platform.cluster
    ranges: dict[Path, str] = {
        ("platform", "network", "connected_cidrs", i): c for i, c in enumerate(network.connected_cidrs)
    }
    if not cluster.existing:
        path = ("platform", "cluster", "service_cidr")
        ranges[path] = cluster.service_cidr
        services_range = IPv4Network(cluster.service_cidr)
        if not (12 <= services_range.prefixlen <= 24 and any(map(services_range.subnet_of, _PRIVATE))):
            yield Mistake(path, f"must be private and from a /12 to a /24 (what EKS takes), got {services_range}")
    if not network.existing:
        ranges["platform", "network", "cidr"] = network.cidr
        length = IPv4Network(network.cidr).prefixlen
        if not 16 <= length <= 22:
            path = ("platform", "network", "cidr")
            yield Mistake(path, f"must be from a /16 (AWS's largest) to a /22 (room for 500 pods), got a /{length}")
    for (one, first), (other, second) in combinations(ranges.items(), 2):
        if "connected_cidrs" in one and "connected_cidrs" in other:
            continue
        if IPv4Network(first).overlaps(IPv4Network(second)):
            yield Mistake(other, f"{second} overlaps {address(one)} ({first})")


def existing_things_are_used_as_they_are(config: StackConfig) -> Iterator[Mistake]:
    """Settings of what is not made have no effect; an existing cluster lies in an existing network."""
    network, cluster = config.platform.network, config.platform.cluster
    for name, section in (("network", network), ("cluster", cluster)):
        unused = section.model_fields_set - {"existing", "connected_cidrs"}
        if section.existing and unused:
            yield Mistake(("platform", name), f"existing is used as it is; remove {', '.join(sorted(unused))}")
    streams = [address((*at, "stream")) for at, service in services(config) if service.stream]
    if cluster.existing and config.platform.pools and not cluster.existing.node_role_name:
        path = ("platform", "cluster", "existing", "node_role_name")
        yield Mistake(path, "is required with pools: their machines join the cluster with it")
    if cluster.existing and streams and not cluster.existing.scaler_role_name:
        path = ("platform", "cluster", "existing", "scaler_role_name")
        yield Mistake(path, f"is required, KEDA scales {streams[0]} with it")
    if cluster.existing and not network.existing:
        yield Mistake(("platform", "network", "existing"), "is required with cluster.existing: the VPC that it lies in")


def alerts_have_a_reader(config: StackConfig) -> Iterator[Mistake]:
    """A budget tells someone."""
    alarms = config.platform.alarms
    if config.platform.budget and not (alarms.email or alarms.topic_arn):
        yield Mistake(("platform", "alarms"), "must have an email or a topic_arn: the budget's alerts go there")


def delivery_knows_its_account(config: StackConfig) -> Iterator[Mistake]:
    """The roles for GitHub get access to the cluster by their ARN, which has the account in it."""
    if config.platform.delivery and not config.platform.account:
        yield Mistake(("platform", "account"), "is required with delivery, whose roles are named by it")


def arns_are_of_this_region(config: StackConfig) -> Iterator[Mistake]:
    """What is referred to lies where the environment is."""
    region = config.platform.region
    if region == v.UNKNOWN_REGION:
        return
    for path, value in _leaves(config):
        if isinstance(value, str) and value.startswith("arn:") and (found := value.split(":")[3]) not in {"", region}:
            yield Mistake(path, f"lies in {found}, the environment in {region}")


def nothing_is_said_twice(config: StackConfig) -> Iterator[Mistake]:
    """Lists have no entry twice; a port of this machine belongs to one service."""
    for path, value in _nodes(config):
        if isinstance(value, tuple):
            entries = Counter(cast("tuple[Any, ...]", value))
            twice = [str(entry) for entry, count in entries.items() if count > 1]
            if twice:
                yield Mistake(path, f"has {', '.join(twice)} twice")
    ports: dict[int, str] = {}
    for at, service in services(config):
        if service.rest and (port := service.rest.local_port):
            if port in ports:
                yield Mistake((*at, "rest", "local_port"), f"{port} is the port of {ports[port]} already")
            ports.setdefault(port, str(at[1]))


RULES: tuple[Rule, ...] = (
    services_are_whole,
    streams_say_what_their_source_needs,
    workloads_find_their_pool,
    pools_are_of_one_hardware,
    features_exist,
    retraining_can_start,
    ingresses_are_guarded,
    networks_do_not_overlap,
    existing_things_are_used_as_they_are,
    alerts_have_a_reader,
    delivery_knows_its_account,
    arns_are_of_this_region,
    nothing_is_said_twice,
)


def services(config: StackConfig) -> Iterator[tuple[Path, Service]]:
    """Every service with its path."""
    for name, service in config.services.items():
        yield ("services", name), service


def workloads(config: StackConfig) -> Iterator[tuple[Path, Workload]]:
    """Everything of every service that runs pods, with its path."""
    for at, service in services(config):
        for part in (*PATTERNS, "retraining"):
            if workload := getattr(service, part):
                yield (*at, part), workload


def rest_services(config: StackConfig) -> Iterator[tuple[Path, Rest]]:
    """Every online pattern with its path."""
    for at, service in services(config):
        if service.rest:
            yield (*at, "rest"), service.rest


def _nodes(section: BaseModel, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    for name in type(section).model_fields:
        yield from _below((*at, name), getattr(section, name))


def _below(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    yield path, value
    if isinstance(value, BaseModel):
        yield from _nodes(value, path)
    elif isinstance(value, Mapping):
        for name, item in cast("Mapping[str, Any]", value).items():
            yield from _below((*path, name), item)
    elif isinstance(value, tuple):
        for index, item in enumerate(cast("tuple[Any, ...]", value)):
            yield from _below((*path, index), item)


def _leaves(config: StackConfig) -> Iterator[tuple[Path, Any]]:
    return ((path, value) for path, value in _nodes(config) if not isinstance(value, BaseModel | Mapping | tuple))


def _other(pool: Pool) -> str:
    return "no GPU" if pool.hardware == v.Hardware.GPU else "GPUs"


def _not_there(name: str, known: Mapping[str, Any], where: Path) -> str:
    near = near_miss(name, known)
    if near:
        return f"{name} is not in {address(where)}; did you mean {near}?"
    return f"{name} is not in {address(where)}, which has {', '.join(known) or 'none'}"
