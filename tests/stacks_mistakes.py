# ruff: noqa: E501 - a mistake a line reads as the table that it is
"""Mistakes in a config, each with the line that a colleague would write beside it."""

from copy import deepcopy
from typing import Any

from ruamel.yaml import YAML

GONE = object()

DEV = """
platform:
  region: eu-west-1
  pools:
    cpu: {families: [m7i, c7i]}
    cheap: {families: [m7i], capacity: spot}
    gpu: {hardware: gpu, families: [g5]}
  feature_groups:
    weather: {key: airport, features: {temp: double}}
services:
  flight-delay:
    rest:
      replicas: {min: 2, max: 20}
      slo: {p95_ms: 100, availability_percent: 99.9}
      ingress:
        host: delays.example.com
        certificate_arn: arn:aws:acm:eu-west-1:123456789012:certificate/0f3a
        allowed_cidrs: [10.0.0.0/8]
    batch: {schedule: "0 2 * * *", input: s3://lake/flights/}
    stream: {source: sqs}
    retraining: {on: [drift, quality]}
    business_metrics: {rebooking_cost_usd: {max: 5000}}
"""
PROD = """
platform:
  region: eu-west-1
  account: "123456789012"
  network: {zones: 3, nat: per_zone}
  pools: {cheap: {families: [m7i], capacity: spot}}
  budget: {monthly_usd: 5000}
  alarms: {email: oncall@example.com}
services:
  flight-delay:
    rest: {}
    retraining: {}
"""
LOCAL = """
platform: {region: eu-west-1}
services: {flight-delay: {rest: {}}}
"""
STAGING = PROD
BASE = {"dev": DEV, "prod": PROD, "local": LOCAL, "staging": STAGING}
REST = "services.flight-delay.rest"
INGRESS = f"{REST}.ingress"
CERTIFICATE = "arn:aws:acm:<region>:<account>:certificate/…"
CERTIFICATE_OF_US = "arn:aws:acm:us-east-1:123456789012:certificate/0f3a"
TWICE = {
    "rest": {
        "ingress": {
            "host": "delays.example.com",
            "certificate_arn": CERTIFICATE_OF_US.replace("us-east", "eu-west"),
            "allowed_cidrs": ["10.0.0.0/8"],
        }
    }
}

MISTAKES: list[tuple[str, str, Any, str]] = [
    # types
    ("dev", f"{REST}.slo.p95_ms", "fast", 'must be a number of milliseconds above 0 and up to 60000, got "fast"'),
    ("dev", f"{REST}.slo.p95_ms", "100", 'must be a number of milliseconds above 0 and up to 60000, got "100"; remove the quotes'),
    ("dev", f"{REST}.replicas.min", 1.5, "must be a whole number from 1 to 1000, got 1.5"),
    ("dev", f"{REST}.replicas.min", True, "must be a whole number from 1 to 1000, got true"),
    ("dev", f"{REST}.replicas", 3, "must be a section (keys below it, or {} for its defaults), got 3"),
    ("dev", "platform.cluster", {"version": 1.34}, ".version: must be one of 1.33, 1.34, 1.35, got 1.34; write it in quotes"),
    ("dev", "platform.account", 123456789012, 'must be an AWS account number of 12 digits, in quotes ("123456789012"), got 123456789012'),
    ("dev", f"{INGRESS}.public", "yes", 'must be true or false, got "yes"; remove the quotes'),
    ("dev", "platform.pools.cpu.families", "m7i", 'must be a list such as [a, b], got "m7i"'),
    ("dev", f"{REST}.slo", None, "has no value; give it one, write {} for a section with its defaults, or remove the line"),
    # ranges and shapes
    ("dev", f"{REST}.slo.availability_percent", 9.99, "must be a number from 90 to 99.999, got 9.99"),
    ("dev", "platform.network", {"zones": 4}, ".zones: must be a whole number from 1 to 3, got 4"),
    ("dev", "platform.region", "Ireland", 'must be an AWS region such as eu-west-1, got "Ireland"'),
    ("dev", "platform.data", {"retention": {"logs_days": 45}}, ".retention.logs_days: must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, got 45"),
    ("dev", f"{REST}.resources", {"memory": "512M"}, '.memory: must be a size of memory such as 512Mi or 2Gi, got "512M"'),
    ("dev", f"{REST}.resources", {"cpu": "half"}, '.cpu: must be a share of CPU such as 500m, 0.5 or 2, got "half"'),
    ("dev", "services.flight-delay.batch.input", "/data/flights", 'must be a place in S3 such as s3://bucket/prefix/, or a prefix of the warehouse bucket such as inputs/flights/, got "/data/flights"'),
    ("dev", "platform.alarms", {"email": "on-call"}, '.email: must be an e-mail address, got "on-call"'),
    ("dev", "services.Flight_Delay", {"rest": {}}, 'the name must be 1 to 40 of a-z, 0-9 and single hyphens, a letter first, got "Flight_Delay"'),
    ("dev", "services.flight-delay.model", {"version": "1", "digest": "abc"}, '.digest: must be sha256: and 64 hex digits (`slipway models` prints them), got "abc"'),
    ("dev", f"{INGRESS}.allowed_cidrs", [], "must have at least 1 entry, has 0"),
    # unknown keys and words
    ("dev", f"{REST}.slo.p95", 100, "unknown key; did you mean p95_ms?"),
    ("dev", "services.flight-delay.p95_ms", 100, "unknown key; it belongs at rest.slo.p95_ms"),
    ("dev", f"{REST}.colour", "blue", "unknown key; known here: resources, pool, replicas, slo, scaling, workers, max_body_mib, max_rows, ingress, local_port"),
    ("dev", "platform.network", {"nat": "per-zone"}, '.nat: must be one of none, single, per_zone, got "per-zone"; did you mean per_zone?'),
    ("dev", "services.flight-delay.stream.source", "rabbitmq", 'must be one of sqs, kinesis, kafka, got "rabbitmq"'),
    ("dev", "platform.pools.cpu.families", ["m77"], '[0]: must be an x86 instance family known here, got "m77"; did you mean m7i?'),
    ("dev", "platform.pools.cpu.families", ["m7i.large"], '[0]: must be an instance family without a size, got "m7i.large"; write m7i'),
    # required
    ("dev", "platform.region", GONE, "is required (AWS region)"),
    ("dev", "services.flight-delay.batch.input", GONE, "is required (where the rows are: `s3://bucket/prefix/`, or a prefix of the environment's warehouse bucket)"),
    ("dev", "platform.pools.cpu.families", GONE, "is required (EC2 instance families to choose from; more of them are more often available)"),
    # schedules, ARNs, addresses
    ("dev", "services.flight-delay.batch.schedule", "61 2 * * *", 'must be a cron schedule (minute hour day month weekday) with a valid minute, got "61 2 * * *"'),
    ("dev", "services.flight-delay.batch.schedule", "daily", 'must be five cron fields such as "0 2 * * *" (minute hour day month weekday), got "daily"'),
    ("dev", "services.flight-delay.batch.schedule", "0 0 L * *", 'must be a cron schedule as Kubernetes reads it (no L, W or #; Sunday is 0), got "0 0 L * *"'),
    ("dev", f"{INGRESS}.certificate_arn", "arn:aws:acm:certificate/0f3a", f'must be the ARN of an ACM certificate, {CERTIFICATE}, got "arn:aws:acm:certificate/0f3a"'),
    ("dev", f"{INGRESS}.certificate_arn", CERTIFICATE_OF_US, "lies in us-east-1, the environment in eu-west-1"),
    ("dev", "platform.network", {"cidr": "10.0.1.0/16"}, '.cidr: must be an IPv4 network such as 10.0.0.0/16: its last bits must be zero, got "10.0.1.0/16"'),
    ("dev", "platform.network", {"cidr": "10.0.0.0/26"}, ".cidr: must be from a /16 (AWS's largest) to a /22 (room for 500 pods), got a /26"),
    ("dev", "platform.network", {"connected_cidrs": ["10.0.128.0/20"]}, ".cidr: 10.0.0.0/16 overlaps slipway:platform.network.connected_cidrs[0] (10.0.128.0/20)"),
    ("dev", "platform.network", {"cidr": "172.20.0.0/18"}, ".cidr: 172.20.0.0/18 overlaps slipway:platform.cluster.service_cidr (172.20.0.0/16)"),
    ("dev", "platform.cluster", {"service_cidr": "100.64.0.0/16"}, ".service_cidr: must be private and from a /12 to a /24 (what EKS takes), got 100.64.0.0/16"),
    # between keys
    ("dev", f"{REST}.replicas.max", 1, "services.flight-delay.rest.replicas.min: must be at most max (1), got 2"),
    ("dev", f"{REST}.pool", "cpus", "cpus is not in slipway:platform.pools; did you mean cpu?"),
    ("dev", f"{REST}.resources", {"gpus": 1}, ".gpus: needs a pool with hardware: gpu, no pool is named"),
    ("dev", f"{REST}.pool", "gpu", "gpu is a GPU pool; set resources.gpus or take another pool"),
    ("dev", "platform.pools.gpu.families", ["m7i"], "[0]: m7i has no GPU, the pool's hardware is gpu"),
    ("dev", "services.flight-delay.features", ["wether"], "[0]: wether is not in slipway:platform.feature_groups; did you mean weather?"),
    ("dev", "services.flight-delay.model", {"version": "3"}, "has no digest; version and digest go together, as `slipway release` writes them"),
    ("dev", "services.other", {"drift": {"psi": 0.3}}, "has no pattern; give it rest, batch or stream ({} takes the defaults of rest and stream)"),
    ("dev", "services.flight-delay.stream.source", "kafka", "services.flight-delay.stream.kafka: is required, the source is kafka; give it at least a topic"),
    ("dev", "services.flight-delay.stream.kinesis", {}, "is not used, the source is sqs; remove it or set source: kinesis"),
    ("dev", "services.flight-delay.retraining.on", ["schedule"], "services.flight-delay.retraining.schedule: is required, `on` names schedule"),
    ("dev", "services.flight-delay.drift", {"enabled": False}, "services.flight-delay.retraining.on: names drift, which is not measured; set drift.enabled or remove it"),
    ("dev", f"{INGRESS}.public", True, f"{INGRESS}.auth: is required for a public service; give it api_keys_arn or oidc"),
    ("dev", "services.flight-delay.business_metrics.rebooking_cost_usd", {}, "has no bound; give it min, max or both"),
    ("dev", "platform.budget", {"monthly_usd": 100}, "platform.alarms: must have an email or a topic_arn: the budget's alerts go there"),
    ("dev", "platform.cluster", {"existing": {"name": "shared", "node_role_name": "nodes", "scaler_role_name": "keda"}}, "platform.network.existing: is required with cluster.existing: the VPC that it lies in"),
    ("dev", "platform.delivery", {"github": "acme/platform"}, "platform.account: is required with delivery, whose roles are named by it"),
    # twice
    ("dev", "services.other", TWICE, ".rest.ingress.host: is the host of slipway:services.flight-delay.rest.ingress already"),
    ("dev", "services.flight-delay.retraining.on", ["drift", "drift"], "has drift twice"),
    ("local", "services", {"a": {"rest": {"local_port": 8080}}, "b": {"rest": {"local_port": 8080}}}, ".b.rest.local_port: 8080 is the port of a already"),
    # what an environment promises
    ("local", "platform.cluster", {"version": "1.34"}, "is not used in local; remove it"),
    ("dev", f"{REST}.local_port", 8080, "is used in local only, not in dev; remove it"),
    ("staging", "platform.cluster", {"public_access_cidrs": ["203.0.113.0/24"]}, ".public_access_cidrs: must be empty in staging (no public endpoint), got 203.0.113.0/24"),
    ("prod", "platform.budget", GONE, "is required in prod; give it monthly_usd"),
    ("prod", "platform.account", GONE, "is required in prod, so that credentials of another account cannot deploy it"),
    ("prod", "platform.network", {"zones": 2, "nat": "per_zone"}, ".zones: must be 3 in prod, got 2"),
    ("prod", "platform.network", {"zones": 3}, ".nat: must be per_zone in prod (or none), got single"),
    ("prod", f"{REST}.replicas", {"min": 1}, ".min: must be at least 2 in prod, got 1"),
    ("prod", f"{REST}.pool", "cheap", "must be of on_demand machines in prod, cheap is spot"),
    ("prod", "services.flight-delay.retraining.approval", "automatic", "must be manual in prod, got automatic"),
    ("prod", "platform.approvals", {"deployments": "automatic"}, ".deployments: must be manual in prod, got automatic"),
    ("prod", "platform.data", {"retention": {"capture_days": 7}}, ".retention.capture_days: must be at least 30 in prod, the longest that drift is looked into, got 7"),
]  # fmt: skip


def edited(text: str, path: str, value: Any) -> dict[str, Any]:
    tree: dict[str, Any] = YAML(typ="safe").load(text)
    *parents, last = path.split(".")
    node = tree
    for step in parents:
        node = node[step]
    if value is GONE:
        del node[last]
    else:
        node[last] = deepcopy(value)
    return tree
