"""Bring an environment to what its config and its release records say, prove it, and go back where it fails.

A release is: write the record, run the engine, wait until every pod reports the version, ask the golden question. The
record stays `verified: false` until the answer was right, so that a run which is cut off anywhere is finished, or
undone, by the next one. There is nothing to clean up.
"""

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from release.cluster import Cluster, open_cluster
from release.engine import Engine, Outcome, run
from release.environment import DeployedService, Environment, keep_outputs, read_deployed
from release.errors import SlipwayError
from release.events import Change, Story
from release.lock import EnvironmentLock
from release.registry import Registry
from release.releases import Record, Release, now, read_releases, write_release
from release.verify import Answer, ask_golden, wait_until_served
from release.watch import Watch

LOCAL_TIMEOUT_SECONDS = 120.0
REMOTE_TIMEOUT_SECONDS = 900.0
"""Longest that pods may take to be ready after the engine is done: a new node must be bought and an image pulled."""


@dataclass
class Work:
    """What a change to an environment needs at hand."""

    environment: Environment
    engine: Engine
    lock: EnvironmentLock
    say: Callable[[str], None]
    """Progress, a line at a time."""
    waiting: Callable[[str], None] = field(default=lambda _: None)
    """What is being waited for now, for a display that shows it in place."""
    open_cluster: Callable[[Environment], Cluster] = open_cluster
    open_registry: Callable[[Environment], Registry] = Registry


@dataclass
class Applied:
    """What a change came to."""

    outcome: Outcome
    answers: list[Answer]


def apply(work: Work) -> Applied:
    """Run the engine on the config and the records as they are, and prove every released service.

    Raises:
        SlipwayError: the engine failed, or a service did not prove itself; a release that was not verified before has
            been undone by then.
    """
    records = {name: record for name, record in read_releases(work.environment).items() if record.current}
    unproven = {name: record for name, record in records.items() if not record.verified}
    with ThreadPoolExecutor(max_workers=1) as side:
        # The AWS clients take a second to load: while the engine works, that second is free.
        known = bool(read_deployed(work.environment).services)
        registry = side.submit(work.open_registry, work.environment) if records and known else None
        try:
            outcome = _run_engine(work, unproven)
            answers = prove(work, records, registry.result() if registry else None)
        except SlipwayError as error:
            if not unproven:
                raise
            raise _go_back(work, unproven, error) from error
    return Applied(outcome, answers)


def release(work: Work, service: str, version: str, note: str = "") -> Applied:
    """Make an approved version live for a service.

    Raises:
        SlipwayError: the version is unknown or not approved (nothing was touched), or it failed (undone).
    """
    deployed = known_service(work.environment, service)
    registry = work.open_registry(work.environment)
    entry = registry.find(deployed.model, version)
    if entry.state != "approved":
        raise SlipwayError(
            "not-approved",
            f"{entry.model} {version} is {_article(entry.state)} in {work.environment.name}: "
            "only approved versions are released",
            f"run: slipway approve {entry.model} {version}{work.environment.flag()}",
            exit_code=2,
        )
    wanted = Release(entry.model, entry.version, entry.digest)
    record = read_releases(work.environment).get(service, Record())
    if record.current != wanted:
        proven = record.current if record.verified else record.previous
        record = Record(current=wanted, previous=proven if proven != wanted else None, at=now(), note=note)
        write_release(work.environment, service, record)
    return apply(work)


def roll_back(work: Work, service: str, who: str) -> Applied:
    """Make the version before the current one live again."""
    known_service(work.environment, service)
    record = read_releases(work.environment).get(service, Record())
    if not record.current or not record.previous:
        raise SlipwayError(
            "nothing-before",
            f"{service} has no version to go back to in {work.environment.name}",
            f"release any approved version: slipway release {service} VERSION{work.environment.flag()}",
            exit_code=2,
        )
    note = f"{record.current.version} rolled back by {who}"
    write_release(work.environment, service, Record(current=record.previous, at=now(), note=note))
    return apply(work)


def known_service(environment: Environment, service: str) -> DeployedService:
    """A service that the engine has deployed."""
    found = read_deployed(environment).services.get(service)
    if found:
        return found
    raise SlipwayError(
        "unknown-service", f"{environment.name} has no service {service!r}", "run: slipway status", exit_code=2
    )


def prove(work: Work, records: Mapping[str, Record], registry: Registry | None = None) -> list[Answer]:
    """Wait until each released service serves its version everywhere, and ask it its golden question."""
    if not records:
        return []
    services = read_deployed(work.environment).services
    cluster = work.open_cluster(work.environment)
    registry = registry or work.open_registry(work.environment)
    answers: list[Answer] = []
    for name, record in records.items():
        service = services.get(name)
        if service is None or record.current is None or not service.workloads:
            continue
        watch = Watch(cluster, {name: (service, record.current)})
        timeout = LOCAL_TIMEOUT_SECONDS if work.environment.is_local else REMOTE_TIMEOUT_SECONDS
        wait_until_served(cluster, service, record.current, _telling(watch, work), timeout, work.waiting)
        if "rest" in service.patterns:
            manifest, golden = registry.golden(registry.find(record.current.name, record.current.version))
            answers.append(ask_golden(cluster, service, record.current, manifest, golden))
        if not record.verified:
            write_release(work.environment, name, replace(record, verified=True))
    return answers


def _run_engine(work: Work, unproven: Mapping[str, Record]) -> Outcome:
    services = read_deployed(work.environment).services
    awaited = {
        name: (services[name], record.current)
        for name, record in unproven.items()
        if record.current and name in services
    }
    watch = Watch(work.open_cluster(work.environment), awaited) if awaited else None
    stop = _telling(watch, work) if watch else None
    outcome = run(
        work.engine,
        "up",
        work.lock,
        on_change=progress(work.say),
        stop=stop,
        waiting=work.waiting,
    )
    keep_outputs(work.environment, outcome.story.outputs)
    if watch and outcome.exit_code and not outcome.stopped:
        # The provider may have seen the pod's end first: the pod's own words say more than the provider's.
        outcome.stopped = watch.reason(now=True)
    outcome.raise_if_failed()
    return outcome


_POD = re.compile(r"^pod \S+: ")
"""What a note leaves out: the pod is gone by the time that it is read."""
_WORDS = {
    "create": "creating",
    "change": "changing",
    "delete": "deleting",
    "replace": "replacing",
    "import": "importing",
}


def progress(say: Callable[[str], None]) -> Callable[[Change, Story], None]:
    """Says one line for each component when the first of its resources is done, and for each later change of a kind."""
    told: set[tuple[str, str]] = set()

    def tell(change: Change, _story: Story) -> None:
        key = (change.component, change.operation)
        if key not in told:
            told.add(key)
            say(f"  {_WORDS[change.operation]} {change.component}")

    return tell


def _telling(watch: Watch, work: Work) -> Callable[[], str | None]:
    """The watch's verdict, with the exits that are no verdict passed on as they are seen."""

    def reason() -> str | None:
        found = watch.reason()
        while watch.news:
            work.say(watch.news.pop(0))
        return found

    return reason


def _go_back(work: Work, failed: Mapping[str, Record], error: SlipwayError) -> SlipwayError:
    """Write back what ran before, bring it back, and say so."""
    cause = _POD.sub("", error.message.splitlines()[0])
    before: list[str] = []
    for name, record in failed.items():
        version = record.current.version if record.current else ""
        kept = Record(
            current=record.previous,
            at=now(),
            note=f"{version} rolled back: {cause}",
            verified=record.previous is not None,
        )
        write_release(work.environment, name, kept)
        before.append(f"{name} {'serves ' + record.previous.version if record.previous else 'waits for a release'}")
    work.say(f"failed: {cause}")
    work.say("going back to what ran before")
    services = ", ".join(failed)
    try:
        records = {name: record for name, record in read_releases(work.environment).items() if record.current}
        _run_engine(work, {})
        prove(work, {name: record for name, record in records.items() if name in failed})
    except SlipwayError as second:
        return SlipwayError(
            "rollback-failed",
            f"{error.message}\ngoing back failed too: {second.message}",
            f"see: slipway status{work.environment.flag()}, slipway logs {services}{work.environment.flag()}",
            log=second.log or error.log,
        )
    return SlipwayError(
        "rolled-back",
        f"{error.message}\nrolled back: {'; '.join(before)}",
        error.hint or f"see: slipway status{work.environment.flag()}",
        log=error.log,
    )


def _article(state: str) -> str:
    return "a candidate" if state == "candidate" else state
