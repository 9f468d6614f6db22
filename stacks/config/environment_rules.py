"""What each environment must be like, whatever its file says: the promises that its name makes."""

from collections.abc import Iterator

from stacks.config import vocabulary as v
from stacks.config.environments import Environment
from stacks.config.mistakes import Mistake
from stacks.config.model import StackConfig
from stacks.config.rules import Rule, rest_services, services, workloads

ELSEWHERE_ONLY = ("network", "cluster", "pools", "budget", "delivery")
"""Parts of the platform that one machine has not."""


def local_has_no_cloud(config: StackConfig) -> Iterator[Mistake]:
    """Says which settings have no effect on one machine."""
    for name in ELSEWHERE_ONLY:
        if name in config.platform.model_fields_set:
            yield Mistake(("platform", name), "is not used in local; remove it")
    for path, workload in workloads(config):
        if workload.resources.gpus:
            yield Mistake((*path, "resources", "gpus"), "is not used in local; remove it")


def ports_are_of_local(config: StackConfig) -> Iterator[Mistake]:
    """A port of this machine has no meaning elsewhere."""
    for path, rest in rest_services(config):
        if rest.local_port:
            yield Mistake((*path, "local_port"), f"is used in local only, not in {config.environment}; remove it")


def someone_hears_alarms(config: StackConfig) -> Iterator[Mistake]:
    """An alarm that nobody hears is none."""
    if not (config.platform.alarms.email or config.platform.alarms.topic_arn or config.platform.budget):
        where = ("platform", "alarms")
        yield Mistake(where, f"must have an email or a topic_arn in {config.environment}: alarms need a reader")


def api_server_is_private(config: StackConfig) -> Iterator[Mistake]:
    """The cluster's API server is reached from the VPC only."""
    cidrs = config.platform.cluster.public_access_cidrs
    if cidrs:
        where = ("platform", "cluster", "public_access_cidrs")
        yield Mistake(where, f"must be empty in {config.environment} (no public endpoint), got {', '.join(cidrs)}")


def prod_is_watched(config: StackConfig) -> Iterator[Mistake]:
    """Spend is watched, and credentials of another account are refused."""
    if not config.platform.budget:
        yield Mistake(("platform", "budget"), "is required in prod; give it monthly_usd")
    if not config.platform.account:
        path = ("platform", "account")
        yield Mistake(path, "is required in prod, so that credentials of another account cannot deploy it")
    if config.platform.data.retention.capture_days < 30:
        days = config.platform.data.retention.capture_days
        path = ("platform", "data", "retention", "capture_days")
        yield Mistake(path, f"must be at least 30 in prod, the longest that drift is looked into, got {days}")


def prod_survives_a_zone(config: StackConfig) -> Iterator[Mistake]:
    """Three zones with a way out each, and no service that stands on one pod or on machines that are taken away."""
    network = config.platform.network
    if not network.existing:
        if network.zones != 3:
            yield Mistake(("platform", "network", "zones"), f"must be 3 in prod, got {network.zones}")
        if network.nat == v.Nat.SINGLE:
            yield Mistake(("platform", "network", "nat"), "must be per_zone in prod (or none), got single")
        if not network.flow_logs:
            yield Mistake(("platform", "network", "flow_logs"), "must be true in prod")
    elif len(network.existing.private_subnet_ids) < 3:
        path = ("platform", "network", "existing", "private_subnet_ids")
        yield Mistake(path, f"must name subnets of 3 zones in prod, got {len(network.existing.private_subnet_ids)}")
    for path, rest in rest_services(config):
        if rest.replicas.min < 2:
            yield Mistake((*path, "replicas", "min"), f"must be at least 2 in prod, got {rest.replicas.min}")
        pool = config.platform.pools.get(rest.pool or "")
        if pool and pool.capacity == v.Capacity.SPOT:
            yield Mistake((*path, "pool"), f"must be of on_demand machines in prod, {rest.pool} is spot")


def prod_is_approved(config: StackConfig) -> Iterator[Mistake]:
    """A person has the last word in prod."""
    for name in ("models", "deployments"):
        if getattr(config.platform.approvals, name) != v.Approval.MANUAL:
            yield Mistake(("platform", "approvals", name), "must be manual in prod, got automatic")
    for at, service in services(config):
        if service.retraining and service.retraining.approval == v.Approval.AUTOMATIC:
            yield Mistake((*at, "retraining", "approval"), "must be manual in prod, got automatic")


ENVIRONMENT_RULES: dict[Environment, tuple[Rule, ...]] = {
    Environment.LOCAL: (local_has_no_cloud,),
    Environment.DEV: (ports_are_of_local,),
    Environment.STAGING: (ports_are_of_local, someone_hears_alarms, api_server_is_private),
    Environment.PROD: (
        ports_are_of_local,
        someone_hears_alarms,
        api_server_is_private,
        prod_is_watched,
        prod_survives_a_zone,
        prod_is_approved,
    ),
}
