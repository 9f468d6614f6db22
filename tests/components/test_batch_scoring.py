"""BatchScoring: never two runs at once, parts retried by themselves, late and failed runs noticed."""

import json

import pytest
from components_samples import PAGE, TICKET, batch_scoring

from components.batch_scoring import BatchScoring, split_uri, whole_cpus


@pytest.fixture
def make(provision):
    return lambda **more: provision(lambda: BatchScoring("flight", batch_scoring(**more)))


def test_registers_exactly_these(make):
    assert make(namespace="slipway-flight-delay").types() == {
        "flight": "slipway:index:BatchScoring",
        "flight-service-account": "kubernetes:core/v1:ServiceAccount",
        "flight-role": "aws:iam/role:Role",
        "flight-policy": "aws:iam/rolePolicy:RolePolicy",
        "flight-pod-identity": "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        "flight-network-policy": "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        "flight-cron-job": "kubernetes:batch/v1:CronJob",
        "flight-batch-failed-alarm": "aws:cloudwatch/metricAlarm:MetricAlarm",
        "flight-batch-late-alarm": "aws:cloudwatch/metricAlarm:MetricAlarm",
    }


def test_runs_never_overlap_and_each_part_is_retried_by_itself(make):
    spec = make(parallelism=8, attempts=3, deadline_minutes=90).resources["flight-cron-job"].inputs["spec"]
    assert (spec["concurrencyPolicy"], spec["timeZone"], spec["suspend"]) == ("Forbid", "Etc/UTC", False)
    job = spec["jobTemplate"]["spec"]
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 8, 8)
    assert (job["backoffLimitPerIndex"], job["maxFailedIndexes"]) == (2, 0)
    assert job["activeDeadlineSeconds"] == 90 * 60
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_a_wrong_schema_fails_at_once_and_a_lost_node_counts_for_nothing(make):
    job = make().resources["flight-cron-job"].inputs["spec"]["jobTemplate"]["spec"]
    wrong, lost = job["podFailurePolicy"]["rules"]
    assert (wrong["action"], wrong["onExitCodes"]) == (
        "FailJob",
        {"containerName": "batch", "operator": "In", "values": [78]},
    )
    assert (lost["action"], lost["onPodConditions"]) == ("Ignore", [{"type": "DisruptionTarget", "status": "True"}])


def test_the_run_is_known_by_the_name_of_its_job(make):
    job = make().resources["flight-cron-job"].inputs["spec"]["jobTemplate"]["spec"]
    variables = {v["name"]: v for v in job["template"]["spec"]["containers"][0]["env"]}
    path = variables["SLIPWAY_BATCH_RUN"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert path == "metadata.labels['batch.kubernetes.io/job-name']"
    assert variables["SLIPWAY_BATCH_OUTPUT"]["value"] == "s3://warehouse/predictions/flight-delay/"
    assert variables["SLIPWAY_BATCH_PARTS"]["value"] == "4"


def test_the_role_reads_the_input_and_writes_its_own_partitions(make):
    statements = make().resources["flight-policy"].json("policy")["Statement"]
    allowed = {(action, arn) for s in statements for action in s["Action"] for arn in s["Resource"]}
    assert ("s3:GetObject", "arn:aws:s3:::lake/flights/*") in allowed
    written = {arn for action, arn in allowed if action in {"s3:PutObject", "s3:DeleteObject"}}
    assert written == {"arn:aws:s3:::warehouse/predictions/flight-delay/*"}


def test_a_run_that_failed_or_is_late_makes_a_ticket(make):
    made = make(deadline_minutes=120).resources
    failed, late = made["flight-batch-failed-alarm"].inputs, made["flight-batch-late-alarm"].inputs
    assert failed["alarmActions"] == late["alarmActions"] == [TICKET]
    assert PAGE not in failed["alarmActions"]
    # Nightly: 24 hours, the deadline's two, and two for the edges of the hours.
    assert (late["period"], late["evaluationPeriods"], late["treatMissingData"]) == (3600, 28, "breaching")
    assert "28 hours" in late["alarmDescription"]


def test_a_monthly_schedule_tells_itself_when_a_run_is_due(make):
    """CloudWatch looks back a week at most."""
    made = make(schedule="0 2 1 * *", deadline_minutes=120).resources
    late = made["flight-batch-late-alarm"]
    assert late.typ == "aws:cloudwatch/compositeAlarm:CompositeAlarm"
    name = "slipway-staging-flight-delay-batch"
    rule = f'ALARM("{name}-expected") AND NOT ALARM("{name}-running") AND NOT ALARM("{name}-succeeded")'
    assert (late.inputs["alarmRule"], late.inputs["alarmActions"]) == (rule, [TICKET])
    parts = {part: made[f"flight-batch-{part}-alarm"].inputs for part in ("expected", "running", "succeeded")}
    assert {part: (one["metricName"], one["evaluationPeriods"]) for part, one in parts.items()} == {
        "expected": ("RunsExpected", 168),
        "running": ("RunsExpected", 4),
        "succeeded": ("RunsSucceeded", 168),
    }
    assert {one["datapointsToAlarm"] for one in parts.values()} == {1}
    due = made["flight-expected-1"].inputs
    assert due["scheduleExpression"] == "cron(0 2 1 * ? *)"
    assert due["target"]["arn"] == "arn:aws:scheduler:::aws-sdk:cloudwatch:putMetricData"
    put = json.loads(due["target"]["input"])
    (datum,) = put["MetricData"]
    assert (put["Namespace"], datum["MetricName"]) == (parts["expected"]["namespace"], "RunsExpected")
    assert {one["Name"]: one["Value"] for one in datum["Dimensions"]} == parts["expected"]["dimensions"]


def test_either_day_makes_a_run_and_so_a_schedule_each(make):
    made = make(schedule="0 2 1 6 1", deadline_minutes=60).resources
    assert [made[f"flight-expected-{n}"].inputs["scheduleExpression"] for n in (1, 2)] == [
        "cron(0 2 1 6 ? *)",
        "cron(0 2 ? 6 MON *)",
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"deadline_minutes": 4921}, "deadline_minutes: expected 1 to 4920, got 4921"),
        ({"schedule": "nightly"}, "schedule 'nightly': expected five cron fields"),
        (
            {"input": "ftp://lake/flights"},
            "batch input 'ftp://lake/flights': expected s3://bucket/prefix/, or a prefix of",
        ),
        ({"notify": {"page": [PAGE], "ticket": []}}, "notify.ticket: expected at least one SNS topic, got none"),
    ],
)
def test_wrong_input_is_refused_in_one_line(make, wrong, message):
    with pytest.raises(ValueError, match=message):
        make(**wrong)


def test_an_address_is_split_into_bucket_and_prefix():
    assert split_uri("s", "s3://bucket/a/b/") == ("bucket", "a/b/")
    assert split_uri("s", "s3://bucket") == ("bucket", "")
    assert split_uri("s", "inputs/flights/") == (None, "inputs/flights/")


def test_an_input_in_the_warehouse_by_day(make):
    made = make(input="inputs/flights/date={date}/").resources
    job = made["flight-cron-job"].inputs["spec"]["jobTemplate"]["spec"]
    variables = {v["name"]: v.get("value") for v in job["template"]["spec"]["containers"][0]["env"]}
    assert variables["SLIPWAY_BATCH_INPUT"] == "s3://warehouse/inputs/flights/date={date}/"
    statements = made["flight-policy"].json("policy")["Statement"]
    read = {arn for s in statements if "s3:GetObject" in s["Action"] for arn in s["Resource"]}
    assert "arn:aws:s3:::warehouse/inputs/flights/date=*" in read


@pytest.mark.parametrize(("cpu", "threads"), [("500m", 1), ("1", 1), ("2500m", 2), ("4", 4), ("0.5", 1)])
def test_a_pod_has_a_thread_for_each_cpu(cpu, threads):
    assert whole_cpus(cpu) == threads
