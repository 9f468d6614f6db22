"""ServiceMonitoring: thresholds from the objective, logs that expire, a comparing job that waits to be let run."""

import json

import pytest
from components_samples import PAGE, TICKET, service_monitoring

from components.service_monitoring import ServiceMonitoring

METRIC = "aws:cloudwatch/metricAlarm:MetricAlarm"
COMPOSITE = "aws:cloudwatch/compositeAlarm:CompositeAlarm"


@pytest.fixture
def make(provision):
    def run(**more):
        args = {key: value for key, value in service_monitoring(**more).items() if value is not None}
        return provision(lambda: ServiceMonitoring("flight", args))

    return run


def alarms(made):
    names = [*made.of_type(METRIC), *made.of_type(COMPOSITE)]
    return {alarm.name.removeprefix("flight-").removesuffix("-alarm"): alarm for alarm in names}


def test_registers_exactly_these_alarms(make):
    assert set(alarms(make())) == {
        *(f"burn-{n}" for n in (1, 2, 3)),
        *(f"burn-{n}-{window}" for n in (1, 2, 3) for window in ("long", "short")),
        "latency",
        "rejected",
        "capture-dropped",
        "cpu-saturated",
        "memory-saturated",
        "drift",
        "quality",
        "business-rebooked-share-above",
        "business-revenue-below",
        "business-revenue-above",
    }


def test_thresholds_come_from_the_objective(make):
    made = alarms(make(slo={"availability_percent": 99.5, "p95_ms": 80}))
    assert made["latency"].inputs["threshold"] == 80
    assert made["latency"].inputs["extendedStatistic"] == "p95"
    assert "statistic" not in made["latency"].inputs
    assert made["burn-1-long"].inputs["threshold"] == pytest.approx(14.4 * 0.005)
    assert made["drift"].inputs["threshold"] == 0.2
    assert made["quality"].inputs["threshold"] == 5


def test_a_burn_alarm_needs_both_windows_and_tells_by_urgency(make):
    made = alarms(make())
    assert made["burn-1"].inputs["alarmRule"] == (
        'ALARM("slipway-staging-flight-delay-burn-1-long") AND ALARM("slipway-staging-flight-delay-burn-1-short")'
    )
    assert [made[f"burn-{n}"].inputs["alarmActions"] for n in (1, 2, 3)] == [[PAGE], [PAGE], [TICKET]]
    for part, seconds in (("burn-1-long", 3600), ("burn-1-short", 300)):
        errors, requests, ratio = made[part].inputs["metricQueries"]
        assert errors["metric"]["period"] == requests["metric"]["period"] == seconds
        assert errors["metric"]["dimensions"] == {"Environment": "staging", "Service": "flight-delay"}
        assert (ratio["expression"], ratio["returnData"]) == ("IF(errors > 1, errors / requests, 0)", True)


def test_an_objective_that_a_fast_burn_cannot_break_has_only_the_slower_alarms(make):
    made = alarms(make(slo={"availability_percent": 90, "p95_ms": 80}))
    assert {name for name in made if name.startswith("burn")} == {
        *("burn-1", "burn-1-long", "burn-1-short"),
        *("burn-2", "burn-2-long", "burn-2-short"),
    }


def test_a_service_without_requests_has_no_objective(make):
    made = alarms(make(patterns=["batch"], slo=None, business_metrics=None))
    assert set(made) == {"drift", "quality"}
    with pytest.raises(ValueError, match="expected slo with the pattern rest"):
        make(slo=None)


def test_outside_eks_there_are_no_container_insights_to_watch(make):
    assert not {"cpu-saturated", "memory-saturated"} & set(alarms(make(cluster_name=None)))


def test_logs_are_encrypted_and_expire(make):
    log = make(log_retention_days=14).resources["flight-log"].inputs
    assert (log["name"], log["retentionInDays"]) == ("/slipway/staging/flight-delay", 14)
    assert log["kmsKeyId"].startswith("arn:aws:kms:")


def test_the_comparing_job_is_provisioned_and_waits(make):
    job = make().resources["flight-cron-job"].inputs["spec"]
    assert (job["schedule"], job["suspend"], job["concurrencyPolicy"]) == ("15 * * * *", True, "Forbid")
    container = job["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    variables = {v["name"]: v["value"] for v in container["env"]}
    rules = json.loads(variables["SLIPWAY_MONITOR_RULES"])
    assert (rules["drift"]["psi"], rules["quality"]["min_labels"]) == (0.2, 500)
    assert rules["business_metrics"] == {"rebooked_share": {"max": 0.2}, "revenue": {"min": 10, "max": 90}}
    assert make(suspended=False).resources["flight-cron-job"].inputs["spec"]["suspend"] is False


def test_the_job_reads_this_services_data_and_tells_on_the_bus(make):
    statements = make().resources["flight-policy"].json("policy")["Statement"]
    allowed = {(action, arn) for s in statements for action in s["Action"] for arn in s["Resource"]}
    assert ("s3:GetObject", "arn:aws:s3:::capture/flight-delay/*") in allowed
    assert ("s3:GetObject", "arn:aws:s3:::outcomes/flight-delay/*") in allowed
    assert ("events:PutEvents", "arn:aws:events:eu-west-1:123456789012:event-bus/slipway-staging") in allowed
    assert not [action for action, _ in allowed if action.startswith("s3:Put")]


def test_the_dashboard_has_the_alarms_on_top_and_a_line_at_what_is_promised(make):
    widgets = json.loads(make().resources["flight-dashboard"].inputs["dashboardBody"])["widgets"]
    assert widgets[0]["type"] == "alarm"
    assert len(widgets[0]["properties"]["alarms"]) == 13
    latency = next(w for w in widgets[1:] if w["properties"]["title"].startswith("Latency"))
    assert latency["properties"]["annotations"]["horizontal"] == [{"label": "limit", "value": 200}]
    places = [(w["x"], w["y"]) for w in widgets]
    assert len(set(places)) == len(places)


def test_a_business_metric_without_a_bound_is_refused(make):
    with pytest.raises(ValueError, match="business metric revenue: expected min, max or both"):
        make(business_metrics={"revenue": {}})
