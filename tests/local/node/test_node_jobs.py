import datetime as dt

import pytest
from local_cluster import is_true, job, script

from local.node.controllers.cronjobs import last_due, next_time
from local.node.controllers.job_policy import ranges

integration = pytest.mark.integration


def live(node, name, kind="Job"):
    return node.get(kind, name, api_version="batch/v1")


def finished(node, name):
    found = live(node, name)
    return found and (is_true(found, "Complete") or is_true(found, "Failed")) and found


def reason(found):
    return next(c["reason"] for c in found["status"]["conditions"] if c["type"] in {"Complete", "Failed"})


@integration
def test_a_job_completes(shared_node):
    shared_node.apply(job("simple", script("print('done')")))
    found = shared_node.until(lambda: finished(shared_node, "simple"))
    assert (is_true(found, "Complete"), found["status"]["succeeded"], found["status"]["failed"]) == (True, 1, 0)
    assert found["status"]["completionTime"]


@integration
def test_an_indexed_job_runs_every_index_once_with_its_number(shared_node, tmp_path):
    name = f"pathlib.Path({str(tmp_path)!r}, os.environ['JOB_COMPLETION_INDEX'])"
    write = f"import os,pathlib,time; time.sleep(0.3); {name}.touch(exist_ok=False)"
    shared_node.apply(job("indexed", script(write), completionMode="Indexed", completions=5, parallelism=2))
    most = 0

    def done():
        nonlocal most
        most = max(most, (live(shared_node, "indexed").get("status") or {}).get("active", 0))
        return finished(shared_node, "indexed")

    found = shared_node.until(done)
    assert is_true(found, "Complete")
    assert found["status"]["completedIndexes"] == "0-4"
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.isdigit()) == ["0", "1", "2", "3", "4"]
    assert most == 2


@integration
def test_a_failing_index_is_retried_up_to_its_own_limit_and_the_others_finish(shared_node):
    text = "import os,sys; sys.exit(int(os.environ['JOB_COMPLETION_INDEX'] == '1'))"
    spec = {"completionMode": "Indexed", "completions": 3, "parallelism": 3, "backoffLimitPerIndex": 1}
    shared_node.apply(job("partly", script(text), **spec))
    found = shared_node.until(lambda: finished(shared_node, "partly"))
    assert reason(found) == "FailedIndexes"
    assert found["status"]["completedIndexes"] == "0,2"
    assert found["status"]["failedIndexes"] == "1"
    assert found["status"]["failed"] == 2
    counts = [
        p["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"]
        for p in shared_node.pods("batch.kubernetes.io/job-name=partly")
        if p["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] == "1"
    ]
    assert sorted(counts) == ["0", "1"]


@integration
def test_a_failing_job_stops_at_its_backoff_limit(shared_node):
    shared_node.apply(job("fails", script("raise SystemExit(3)"), backoffLimit=1))
    found = shared_node.until(lambda: finished(shared_node, "fails"))
    assert (reason(found), found["status"]["failed"]) == ("BackoffLimitExceeded", 2)


@integration
def test_a_policy_ends_the_job_at_an_exit_code(shared_node):
    rules = [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]
    shared_node.apply(job("given-up", script("raise SystemExit(42)"), podFailurePolicy={"rules": rules}))
    found = shared_node.until(lambda: finished(shared_node, "given-up"))
    assert (reason(found), found["status"]["failed"]) == ("PodFailurePolicy", 1)


@integration
def test_a_restarted_container_is_not_a_new_pod(shared_node, tmp_path):
    marker = tmp_path / "second"
    text = f"import pathlib,sys; p=pathlib.Path({str(marker)!r}); e=p.exists(); p.touch(); sys.exit(0 if e else 1)"
    shared_node.apply(job("restarts", script(text), policy="OnFailure"))
    found = shared_node.until(lambda: finished(shared_node, "restarts"))
    assert is_true(found, "Complete")
    assert len(shared_node.pods("batch.kubernetes.io/job-name=restarts")) == 1


@integration
def test_a_suspended_job_waits_and_a_deadline_ends_it(shared_node):
    waiting = job("later", script("import time; time.sleep(60)"), suspend=True, activeDeadlineSeconds=1)
    shared_node.apply(waiting)
    shared_node.until(lambda: is_true(live(shared_node, "later"), "Suspended"))
    assert shared_node.pods("batch.kubernetes.io/job-name=later") == []
    waiting["spec"]["suspend"] = False
    shared_node.apply(waiting)
    found = shared_node.until(lambda: finished(shared_node, "later"))
    assert reason(found) == "DeadlineExceeded"
    shared_node.until(lambda: shared_node.pods("batch.kubernetes.io/job-name=later") == [])


@integration
def test_a_finished_job_goes_with_its_pods_after_its_ttl(shared_node):
    shared_node.apply(job("short", script("pass"), ttlSecondsAfterFinished=1))
    shared_node.until(lambda: finished(shared_node, "short"))
    shared_node.until(lambda: live(shared_node, "short") is None)
    shared_node.until(lambda: shared_node.pods("batch.kubernetes.io/job-name=short") == [])


def cron_job(name, schedule="* * * * *", text="pass", **spec):
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"schedule": schedule, "jobTemplate": {"spec": job("x", script(text))["spec"]}, **spec},
    }


def make_due(node, name):
    """As if the last run had been two minutes ago."""
    past = (dt.datetime.now(dt.UTC) - dt.timedelta(minutes=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    path = f"/apis/batch/v1/namespaces/default/cronjobs/{name}/status"
    node.request("PUT", path, {"status": {"lastScheduleTime": past}})


@integration
def test_a_cron_job_starts_a_job_when_it_is_due(shared_node):
    shared_node.apply(cron_job("nightly"))
    make_due(shared_node, "nightly")

    def done():
        status = live(shared_node, "nightly", "CronJob").get("status", {})
        return status.get("lastSuccessfulTime")

    shared_node.until(done)
    made = [
        j
        for j in shared_node.cluster.select("batch/v1", "Job", "default")
        if j["metadata"]["name"].startswith("nightly-")
    ]
    assert len(made) == 1
    assert made[0]["metadata"]["ownerReferences"][0]["kind"] == "CronJob"


@integration
def test_forbid_starts_no_second_run_and_suspend_none(shared_node):
    shared_node.apply(cron_job("long", text="import time; time.sleep(60)", concurrencyPolicy="Forbid"))
    make_due(shared_node, "long")
    shared_node.until(lambda: live(shared_node, "long", "CronJob")["status"].get("active"))
    make_due(shared_node, "long")

    def events():
        found = shared_node.cluster.select("v1", "Event", "default")
        return [e["reason"] for e in found if e["involvedObject"]["name"] == "long"]

    shared_node.until(lambda: "JobAlreadyActive" in events())
    assert len(live(shared_node, "long", "CronJob")["status"]["active"]) == 1

    shared_node.apply(cron_job("asleep", suspend=True))
    make_due(shared_node, "asleep")
    shared_node.apply(job("fence", script("pass")))
    shared_node.until(lambda: finished(shared_node, "fence"))
    assert not [
        j
        for j in shared_node.cluster.select("batch/v1", "Job", "default")
        if j["metadata"]["name"].startswith("asleep-")
    ]


def test_the_schedule_is_read_in_its_time_zone():
    item = cron_job("x", "30 2 * * *", timeZone="America/New_York")
    after = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
    assert next_time(item, after).astimezone(dt.UTC) == dt.datetime(2026, 7, 1, 6, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("last", "deadline", "due"),
    [
        ("2026-01-01T00:00:00Z", None, "2026-01-03T02:00:00+00:00"),  # the newest of two missed ones
        ("2026-01-03T02:00:00Z", None, None),  # handled
        ("2026-01-01T00:00:00Z", 600, None),  # too late for all
        ("2026-01-01T00:00:00Z", 4000, "2026-01-03T02:00:00+00:00"),
        ("2020-01-01T00:00:00Z", None, "2026-01-03T02:00:00+00:00"),  # six years asleep
    ],
)
def test_missed_runs(last, deadline, due):
    item = cron_job("x", "0 2 * * *") | {"status": {"lastScheduleTime": last}}
    if deadline:
        item["spec"]["startingDeadlineSeconds"] = deadline
    found = last_due(item, dt.datetime(2026, 1, 3, 3, 0, tzinfo=dt.UTC))
    assert (found and found.isoformat()) == due


def test_ranges():
    assert ranges({0, 1, 2, 5, 7, 8}) == "0-2,5,7-8"
    assert ranges(set()) == ""
