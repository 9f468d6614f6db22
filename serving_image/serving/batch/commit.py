"""How the workers of a batch run make one result of their parts, so that readers see the run whole or not at all.

Below the service's prefix of the table lie, of a run:

    _staging/<run>/plan.json           what each worker scores, written once
    _staging/<run>/part-00003.parquet  its results
    _staging/<run>/part-00003.json     that they are complete, and what they are
    _rejected/<run>/part-00003.jsonl   the rows that were set aside
    date=2026-01-31/<run>.parquet      the run
    _runs/<run>.json                   that it is committed, and what it was

A query reads `date=…/` only, and there a run is a single object, which S3 (or a rename) shows complete or not at all:
no reader can see half of a run. That object is the staged parts one after the other, joined by S3 itself, under one
footer (`parquet_join`).

It does not matter when a worker is killed, or how many do the same thing at once:

- Whatever a worker writes follows from the plan, the model and the run's name alone. So a second attempt writes the
  same bytes under the same names, and replaces what it finds by what it is. The plan is written on the condition that
  there is none yet; every attempt goes by the one that is there.
- A part counts as staged from when its `.json` is there, which is written after its results and its rejected rows.
- A worker looks for the others' parts after it has staged its own. S3 lists what was written before the question, so
  the worker that staged last finds all of them; if it is killed before it has committed, its next attempt finds its
  part staged and looks again. Should two find all of them, both write the same object.
- Nothing is removed before `_runs/<run>.json` is there, which is written after the run's object. Who finds that has
  nothing left to do but to remove; and who misses a part that another has removed finds it, when it looks again.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from serving.batch import plan as batch_plan
from serving.batch.parquet_join import MAGIC, TAIL_BYTES, footer_length, joined_footer
from serving.batch.plan import Plan
from serving.batch.store import Object, Piece, Store
from serving.emf import Metric, Publisher
from serving.exits import CommandError, Exit
from serving.logs import Log


class Staged(Struct, frozen=True, kw_only=True):
    """What a worker's part is: rows with a result, rows that were set aside, and the first of those with its reason."""

    rows: int
    rejected: int
    first_rejected: str | None = None


class Commit:
    """One run below the place of a service's partitions."""

    def __init__(
        self, output: Store, run: str, parts: int, max_bad_percent: float, log: Log, metrics: Publisher
    ) -> None:
        self._output, self._run, self._parts, self._max_bad = output, run, parts, max_bad_percent
        self._log, self._metrics = log, metrics
        self._staging = f"_staging/{run}/"
        self._marker = f"_runs/{run}.json"

    def is_done(self) -> bool:
        """Whether the run is committed; then nothing of it is left in staging."""
        if self._output.get(self._marker) is None:
            return False
        self._output.delete([each.key for each in self._output.list(self._staging)])
        return True

    def plan(self) -> Plan | None:
        """The run's plan, where there is one yet."""
        key = f"{self._staging}plan.json"
        content = self._output.get(key)
        return None if content is None else batch_plan.decode(content, f"{self._output.root}{key}")

    def plan_once(self, mine: Plan) -> Plan:
        """The run's plan: this one, unless another worker was first."""
        self._output.put_new(f"{self._staging}plan.json", batch_plan.encode(mine))
        return self.plan() or mine

    def is_staged(self, part: int) -> bool:
        """Whether a part is complete."""
        return self._output.get(f"{self._staging}{_name(part)}.json") is not None

    def stage(self, part: int, staged: Staged, results: Path, rejected: Path) -> None:
        """Write a part: its results, its rejected rows, and then that it is complete."""
        self.set_aside(part, rejected)
        if staged.rows:
            self._output.put_file(f"{self._staging}{_name(part)}.parquet", results)
        self._output.put(f"{self._staging}{_name(part)}.json", msgspec.json.encode(staged))

    def set_aside(self, part: int, rejected: Path) -> None:
        """Write the rejected rows of a part, if there are any."""
        if rejected.stat().st_size:
            self._output.put_file(f"{self._rejected}{_name(part)}.jsonl", rejected)

    def too_many(self, rejected: int, rows: int) -> bool:
        """Whether more rows of all are bad than may be."""
        return rejected * 100 > self._max_bad * rows

    def check(self, rejected: int, rows: int, first: str | None) -> None:
        """Refuse a run of so many `rows`, the rejected among them, when too many of them are.

        Raises:
            CommandError: with the first one and its reason.
        """
        if self.too_many(rejected, rows):
            raise CommandError(
                Exit.CONFIG,
                f"{rejected} of {rows} rows are bad, more than {self._max_bad:g} % "
                f"(SLIPWAY_BATCH_MAX_BAD_ROWS_PERCENT); the first: {first}; all: {self._output.root}{self._rejected}",
            )

    def finish(self) -> None:
        """Commit the run if every part is staged; otherwise another worker will."""
        found = {each.key: each for each in self._output.list(self._staging)}
        missing = [part for part in range(self._parts) if f"{self._staging}{_name(part)}.json" not in found]
        if self.is_done():
            self._log.info("committed by another worker", run=self._run)
            return
        if missing:
            self._log.info("this part is staged; others are not yet", waiting_for=len(missing), parts=self._parts)
            return
        try:
            self._commit(found)
        except (CommandError, FileNotFoundError) as error:
            if self.is_done():  # and removed, while this one was at it
                self._log.info("committed by another worker", run=self._run)
            elif isinstance(error, FileNotFoundError):
                raise CommandError(
                    Exit.UNAVAILABLE, f"{self._output.root}{error}: gone; the next try scores it"
                ) from None
            else:
                raise

    @property
    def _rejected(self) -> str:
        return f"_rejected/{self._run}/"

    def _commit(self, found: dict[str, Object]) -> None:
        plan = self.plan()
        staged = [self._output.get(f"{self._staging}{_name(part)}.json") for part in range(self._parts)]
        if plan is None or None in staged:
            raise FileNotFoundError(self._staging)
        parts = [msgspec.json.decode(content or b"", type=Staged) for content in staged]
        rows, rejected = sum(part.rows for part in parts), sum(part.rejected for part in parts)
        self.check(rejected, rows + rejected, next((each.first_rejected for each in parts if each.rejected), None))
        key = f"date={plan.at:%Y-%m-%d}/{self._run}.parquet"
        files = [found[f"{self._staging}{_name(number)}.parquet"] for number, part in enumerate(parts) if part.rows]
        if files:
            self._output.join(key, *self._joined(files))
        told = {
            "run": self._run,
            "at": plan.at.isoformat(),
            "model": plan.model[0],
            "version": plan.model[1],
            "input": plan.input,
            "rows": rows,
            "rejected": rejected,
            "output": f"{self._output.root}{key}" if files else None,
            "rejected_output": f"{self._output.root}{self._rejected}" if rejected else None,
        }
        # Before the marker: told twice when this worker is killed between the two, rather than never.
        self._metrics.put({Metric.RUNS_SUCCEEDED: 1})
        self._output.put(self._marker, msgspec.json.encode(told))
        self._log.info("committed", **{name: value for name, value in told.items() if name != "at"})
        self.is_done()

    def _joined(self, files: Sequence[Object]) -> tuple[list[Piece], bytes]:
        """The pieces of the run's object, and the footer after them."""
        pieces: list[Piece] = []
        footers: list[tuple[bytes, int]] = []
        at = len(MAGIC)
        for number, file in enumerate(files):
            with self._output.open(file) as stream:
                stream.seek(file.size - TAIL_BYTES)
                length = footer_length(stream.read(TAIL_BYTES))
                end = file.size - TAIL_BYTES - length
                stream.seek(end)
                footers.append((stream.read(length), at - len(MAGIC)))
            # Of each but the first the rows only: the magic stands once.
            pieces.append(Piece(file.key, len(MAGIC) if number else 0, end))
            at += end - len(MAGIC)
        return pieces, joined_footer(footers)


def _name(part: int) -> str:
    return f"part-{part:05d}"
