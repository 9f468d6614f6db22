"""Prove that a version is live: every pod says that it serves it, and the service answers its golden question right."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from release.cluster import Cluster
from release.documents import as_list, as_object, part, parts
from release.environment import DeployedService
from release.errors import SlipwayError
from release.releases import Release

if TYPE_CHECKING:
    from serving.manifest import Golden, Manifest

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Answer:
    """A question that a service was asked over its own address, and what it answered."""

    service: str
    release: Release
    url: str | None
    """Where the service answers REST; None when only the cluster reaches it."""
    path: str
    question: Any
    answer: Any


def wait_until_served(
    cluster: Cluster,
    service: DeployedService,
    release: Release,
    hopeless: Callable[[], str | None],
    timeout_seconds: float,
    say: Callable[[str], None],
) -> None:
    """Wait until every pod of the service, and the service itself, reports `release`.

    Raises:
        SlipwayError: `hopeless()` gave a reason, or the time is over; it says what was seen last.
    """
    give_up = time.monotonic() + timeout_seconds
    while True:
        missing = what_is_missing(cluster, service, release)
        if missing is None:
            return
        if reason := hopeless():
            raise SlipwayError("release-hopeless", reason)
        if time.monotonic() > give_up:
            raise SlipwayError("release-timeout", f"after {timeout_seconds:.0f} s, {missing}")
        say(missing)
        time.sleep(_POLL_SECONDS)


def what_is_missing(cluster: Cluster, service: DeployedService, release: Release) -> str | None:
    """What keeps `release` from being all that the service serves, in each of its patterns; None when nothing does."""
    for each in service.workloads:
        if found := _workload_lacks(cluster, each, release):
            return found
    if "rest" not in service.patterns:
        return None
    path = f"/v2/models/{release.name}"
    return _serves_other(f"the service {service.service}", lambda: cluster.ask_service(service, path), release)


def _workload_lacks(cluster: Cluster, service: DeployedService, release: Release) -> str | None:
    workload = cluster.workload(service)
    if workload is None:
        return f"{service.deployment} does not exist"
    path = f"/v2/models/{release.name}"
    pods = [pod for pod in cluster.pods(service) if not pod.leaving]
    if not workload.settled or len(pods) != workload.wanted:
        right = sum(pod.ready and pod.version == release.version for pod in pods)
        return f"{right} of {workload.wanted} {service.component} pods are ready with {release}"
    for pod in pods:
        if found := _serves_other(f"pod {pod.name}", lambda pod=pod: cluster.ask_pod(pod, path), release):
            return found
    return None


def served_versions(metadata: Any) -> list[str]:
    """The versions in a v2 model metadata answer."""
    return [str(version) for version in as_list(part(metadata).get("versions")) or []]


def _serves_other(who: str, ask: Callable[[], tuple[int, Any]], release: Release) -> str | None:
    """What `who` does instead of serving `release`; None when it serves it."""
    try:
        status, answer = ask()
    except SlipwayError as error:
        return error.message
    if status != 200:
        return f"{who} answers {status} for {release}"
    served = served_versions(answer)
    return None if served == [release.version] else f"{who} serves {', '.join(served) or 'nothing'}, not {release}"


def ask_golden(
    cluster: Cluster, service: DeployedService, release: Release, manifest: "Manifest", golden: "Golden"
) -> Answer:
    """Ask the service the question that the package carries.

    Raises:
        SlipwayError: it does not answer, or not what the package says.
    """
    path, question = golden_question(manifest, golden)
    status, answer = cluster.ask_service(service, path, question)
    if status != 200:
        raise SlipwayError(
            "golden-failed", f"{service.name} answered {status} to its golden question: {_error_of(answer)}"
        )
    if problem := differs_from_golden(answer, golden):
        raise SlipwayError("golden-differs", f"golden answer differs: {problem}")
    if str(answer.get("model_version")) != release.version:
        raise SlipwayError("wrong-version", f"version {answer.get('model_version')} answered, not {release.version}")
    return Answer(service.name, release, cluster.way_in(service).rest, path, question, answer)


def golden_question(manifest: "Manifest", golden: "Golden") -> tuple[str, dict[str, Any]]:
    """The path and the JSON of a golden question: rows by feature name, or the tensors of a model without features."""
    if golden.rows:
        return "/predict", {"rows": list(golden.rows)}
    datatypes = {tensor.name: tensor.datatype for tensor in manifest.inputs}
    tensors = [
        {"name": name, "datatype": datatypes[name], "shape": _shape(values), "data": values}
        for name, values in golden.inputs.items()
    ]
    return f"/v2/models/{manifest.name}/infer", {"inputs": tensors}


def differs_from_golden(answer: Any, golden: "Golden") -> str | None:
    """Where an answer differs from the golden one, as `probability[0]: expected 0.21, got 0.9`; None where nowhere."""
    for name, expected in golden.outputs.items():
        found = _output(answer, name)
        if found is None:
            return f"there is no output {name}"
        same_form = expected if golden.rows else _flat(expected)  # v2 answers in one flat list a tensor
        if problem := _compare(name, same_form, found, golden.tolerance):
            return problem
    return None


def _output(answer: Any, name: str) -> list[Any] | None:
    """An output as a list over the rows, from `/predict` (a list of objects) or from v2 (a list of tensors)."""
    said = as_object(answer) or {}
    rows = as_list(said.get("predictions"))
    if rows is not None:
        return [row.get(name) for row in rows]
    return next((_flat(tensor.get("data")) for tensor in parts(said, "outputs") if tensor.get("name") == name), None)


def _shape(values: Any) -> list[int]:
    items = as_list(values)
    return [] if items is None else [len(items), *(_shape(items[0]) if items else [])]


def _flat(values: Any) -> list[Any]:
    items = as_list(values)
    return [values] if items is None else [one for item in items for one in _flat(item)]


def _compare(place: str, expected: Any, found: Any, tolerance: float) -> str | None:
    wanted = as_list(expected)
    if wanted is not None:
        given = as_list(found)
        if given is None or len(given) != len(wanted):
            return f"{place}: expected {len(wanted)} values, got {found if given is None else len(given)}"
        for index, (one, other) in enumerate(zip(wanted, given, strict=True)):
            if problem := _compare(f"{place}[{index}]", one, other, tolerance):
                return problem
        return None
    if isinstance(expected, float | int) and not isinstance(expected, bool) and isinstance(found, float | int):
        same = math.isclose(expected, found, rel_tol=tolerance, abs_tol=tolerance)
    else:
        same = expected == found
    return None if same else f"{place}: expected {expected}, got {found}"


def _error_of(answer: Any) -> str:
    return str((as_object(answer) or {}).get("error") or answer)[:200]
