"""A batch-only platform in what exists: storage and registry of its own, nightly scoring in the team's cluster."""

import pulumi

from components.batch_scoring import BatchScoring
from components.cluster import Cluster, ExistingClusterArgs
from components.data_store import DataStore
from components.model_registry import ModelRegistry
from components.monitoring import Monitoring
from components.network import Network

config = pulumi.Config()
env, model = "scoring", config.require_object("model")
data = DataStore("data", {"environment": env})
key = data.kms_key_arn
models = ModelRegistry("registry", {"environment": env, "models": [model["name"]], "kms_key_arn": key})
ops = Monitoring("ops", {"environment": env, "kms_key_arn": key, "event_bus": models.event_bus, "services": ["score"]})
vpc = Network("vpc", {"environment": env, "existing": config.require_object("vpc")})
subnets, there = vpc.private_subnet_ids, ExistingClusterArgs(name=config.require("cluster"))
cluster = Cluster("eks", {"environment": env, "private_subnet_ids": subnets, "kms_key_arn": key, "existing": there})
scoring = BatchScoring(
    "score",
    {
        "environment": env,
        "service": "score",
        "image": pulumi.Output.concat(models.image_repository, ":0.1.0"),
        "models_bucket": data.models_bucket,
        "kms_key_arn": key,
        "resources": {"cpu": "1", "memory": "2Gi"},
        "model": model,
        "cluster_name": cluster.name,
        "schedule": "0 2 * * *",
        "input": config.require("input"),
        "warehouse_bucket": data.warehouse_bucket,
        "notify": {"page": [ops.page_topic_arn], "ticket": [ops.ticket_topic_arn]},
    },
    pulumi.ResourceOptions(providers=[cluster.kubernetes]),
)
pulumi.export("results", scoring.output_uri)
