"""How logs leave a cluster: what the CloudWatch Observability add-on is told, and the log groups that it finds.

The add-on is Fluent Bit and the CloudWatch agent, configured by the values of its Helm chart
(https://github.com/aws-observability/helm-charts, `containerLogs` and `agent`). Of its three Fluent Bit files only
`application-log.conf`, which reads containers, is replaced: the logs of a service go to the service's own group, line
by line, so that CloudWatch finds the metrics in them (docs/decisions/0005-logs-and-metrics-through-the-add-on.md).
"""

from typing import Any

from components.metrics import log_group

CLUSTER_LOGS = ("application", "dataplane", "host", "performance")
"""What the add-on writes besides the services' logs, each to a group of its own."""

_CONTAINERS = "/var/log/containers"
"""Where the kubelet links to the log of each container: `<pod>_<namespace>_<container>-<id>.log`."""
_SERVICES = f"{_CONTAINERS}/*_slipway-*_*.log"
SERVICE_LOG = r"(?<pod>[^_/]+)_slipway-(?<service>[^_]+)_(?<container>[^_]+)-[0-9a-f]{64}\.log$"
"""The parts of such a link; no name of Kubernetes holds an underscore."""


def cluster_log_group(cluster: str, what: str) -> str:
    """Log group of a part of a cluster, by the name that Container Insights reads it by."""
    return f"/aws/containerinsights/{cluster}/{what}"


def addon_configuration(environment: str) -> dict[str, Any]:
    """Configuration values of the add-on `amazon-cloudwatch-observability`."""
    return {
        # Without Application Signals, which is on by default: it traces applications, is paid by the request, and
        # would need leave to write traces.
        "agent": {"config": {"logs": {"metrics_collected": {"kubernetes": {"enhanced_container_insights": True}}}}},
        "containerLogs": {"fluentBit": {"config": {"extraFiles": {"application-log.conf": fluent_bit(environment)}}}},
    }


def fluent_bit(environment: str) -> str:
    """Fluent Bit's file for containers: services each to their own group, everything else to the cluster's.

    The group and stream of a service's line come from the name of its file, by way of the tag
    `slipway.<service>.<pod>.<container>`, so nothing is asked of the Kubernetes API. `log_key` sends the line as the
    container wrote it: wrapped into a record, a line in the embedded metric format would be no metric. Groups are never
    created here: those that Pulumi makes have a retention and a key.
    """
    return f"""\
[INPUT]
    Name              tail
    Tag               slipway.<service>.<pod>.<container>
    Tag_Regex         {SERVICE_LOG}
    Path              {_SERVICES}
    {_tail("slipway")}
    Read_from_Head    On

[OUTPUT]
    Name                 cloudwatch_logs
    Match                slipway.*
    region               ${{AWS_REGION}}
    log_group_template   {log_group(environment, "$TAG[1]")}
    log_stream_template  $TAG[2].$TAG[3]
    log_group_name       {cluster_log_group("${CLUSTER_NAME}", "application")}
    log_stream_prefix    ${{HOST_NAME}}-
    log_key              log
    log_format           json/emf
    auto_create_group    false
    Retry_Limit          10

[INPUT]
    Name              tail
    Tag               application.*
    Path              {_CONTAINERS}/*.log
    Exclude_Path      {_SERVICES}, {_CONTAINERS}/aws-node*, {_CONTAINERS}/kube-proxy*
    {_tail("application")}
    Read_from_Head    ${{READ_FROM_HEAD}}

[FILTER]
    Name                 kubernetes
    Match                application.*
    Kube_Tag_Prefix      application.var.log.containers.
    Merge_Log            On
    Merge_Log_Key        log_processed
    Labels               Off
    Annotations          Off
    Use_Kubelet          On
    Kubelet_Port         10250
    Buffer_Size          0

[OUTPUT]
    Name                 cloudwatch_logs
    Match                application.*
    region               ${{AWS_REGION}}
    log_group_name       {cluster_log_group("${CLUSTER_NAME}", "application")}
    log_stream_prefix    ${{HOST_NAME}}-
    auto_create_group    false
"""


def _tail(name: str) -> str:
    """What both inputs do: join lines that the container runtime has split, and go on where they stopped."""
    return "\n    ".join(
        (
            "multiline.parser  cri",
            f"DB                /var/fluent-bit/state/flb_{name}.db",
            "Mem_Buf_Limit     50MB",
            "Skip_Long_Lines   On",
            "Refresh_Interval  10",
            "Rotate_Wait       30",
            "storage.type      filesystem",
        )
    )
