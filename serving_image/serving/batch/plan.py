"""The plan of a batch run: which rows each of its workers scores, written down once, before any of them begins.

The first worker of a run to write it wins; the others, and every later attempt, read it. So all of them see the same
input, however it changes meanwhile, and a row has the same number, and with it the same prediction id, every time.
"""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import Struct

from serving.batch.store import Object, Store
from serving.exits import CommandError, Exit
from serving.settings import Settings

Format = Literal["parquet", "csv", "jsonl"]
SUFFIXES: dict[str, tuple[str, ...]] = {
    "parquet": (".parquet", ".parq"),
    "csv": (".csv", ".csv.gz"),
    "jsonl": (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz"),
}
"""How the names of a format's files end."""

_SCHEDULED = re.compile(r"-(\d{8})(?:-\d+)?$")
_FILES_AT_ONCE = 16


class Split(Struct, frozen=True, array_like=True):
    """Rows that one worker scores in one go: a row group, or a whole file of text.

    `first` is the number of its first row in the file; `weight` its rows, of text its bytes.
    """

    file: int
    group: int
    first: int
    weight: int


class Plan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run does. `parts[i]` are the splits of worker `i`, in the order of the input."""

    run: str
    minute: int
    """The run's time, in minutes since 1970-01-01 UTC: when it was scheduled, if its name says so."""
    model: tuple[str, str]
    """Name and version."""
    format: Format
    input: str
    files: tuple[Object, ...]
    parts: tuple[tuple[Split, ...], ...]

    @property
    def at(self) -> datetime:
        """The run's time in UTC."""
        return datetime.fromtimestamp(self.minute * 60, UTC)

    def weight(self, part: int) -> int:
        """What worker `part` has to do."""
        return sum(split.weight for split in self.parts[part])


def run_minute(run: str) -> int:
    """The minute (since 1970 UTC) of a run: the one in its name, as Kubernetes ends the names of a CronJob's Jobs with
    it (`…-29384820`, for one that was started by hand `…-29384820-7`), or this one."""
    found = _SCHEDULED.search(run)
    return int(found[1]) if found else int(datetime.now(UTC).timestamp()) // 60


def resolve(place: str, minute: int) -> str:
    """An input's address with `{date}` as the day of the run, `2026-01-31`."""
    return place.replace("{date}", datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%d"))


def plan_run(
    settings: Settings,
    source: Store,
    run: str,
    minute: int,
    model: tuple[str, str],
    look: Callable[[Object], list[int]],
) -> Plan:
    """Look at the input and share it out; `look` gives what each row group of a file weighs, or refuses the file.

    Raises:
        CommandError: there is no such input, or not one that the model can take.
    """
    files = _files(source, settings.batch_format)
    with ThreadPoolExecutor(_FILES_AT_ONCE, thread_name_prefix="look") as pool:
        weights = list(pool.map(look, files))
    splits: list[Split] = []
    for number, groups in enumerate(weights):
        first = 0
        for group, weight in enumerate(groups):
            if weight:
                splits.append(Split(number, group, first, weight))
            first += weight
    return Plan(
        run=run,
        minute=minute,
        model=model,
        format=settings.batch_format,
        input=source.root,
        files=tuple(files),
        parts=share(splits, settings.batch_parts),
    )


def share(splits: Sequence[Split], parts: int) -> tuple[tuple[Split, ...], ...]:
    """Splits in their order, cut into `parts` runs of about the same weight; some may be empty."""
    total, done = sum(split.weight for split in splits), 0
    shares: list[list[Split]] = [[] for _ in range(parts)]
    for split in splits:
        middle = done + split.weight / 2
        shares[min(parts - 1, int(middle * parts / total)) if total else 0].append(split)
        done += split.weight
    return tuple(tuple(each) for each in shares)


def encode(plan: Plan) -> bytes:
    """The plan as it is kept."""
    return msgspec.json.encode(plan)


def decode(content: bytes, where: str) -> Plan:
    """A plan that was kept; CommandError when it is none."""
    try:
        return msgspec.json.decode(content, type=Plan)
    except msgspec.MsgspecError as error:
        raise CommandError(Exit.CONFIG, f"{where}: not a plan of this version: {error}; start another run") from None


def _files(source: Store, form: Format) -> list[Object]:
    """The input's files; names that start with `_` or `.` are not data, as everywhere in a data lake."""
    found = [each for each in source.list() if each.size and not any(p[:1] in "_." for p in each.key.split("/") if p)]
    # A place that names one file: its key is empty, and its name the end of the root.
    named = [each for each in found if (each.key or source.root.rstrip("/")).lower().endswith(SUFFIXES[form])]
    if named:
        return named
    others = f"; there is {found[0].key or source.root}, for one" if found else ""
    wanted = " or ".join(f"*{suffix}" for suffix in SUFFIXES[form])
    raise CommandError(
        Exit.CONFIG, f"SLIPWAY_BATCH_INPUT: {source.root}: expected files {wanted} (SLIPWAY_BATCH_FORMAT), none{others}"
    )
