"""`python -m serving batch`: one worker of a run that scores files.

The workers of a run (the pods of an Indexed Job) share its input by a plan that the first of them writes down
(`plan`), score their parts (`score`) and stage the results; whoever finds all parts staged commits the run
(`commit`, which says why that is safe). Batch results are not captured: they are the record.
"""

import hashlib
import os
import signal
import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import msgspec

from serving.batch import plan as batch_plan
from serving.batch.commit import Commit, Staged
from serving.batch.input import Block, Reader, Rejected
from serving.batch.output import Ids, PartFile, Results
from serving.batch.plan import Plan
from serving.batch.rows import Columns
from serving.batch.score import Progress, Scorer
from serving.batch.store import Store, open_store
from serving.emf import Metric, Publisher
from serving.exits import CommandError, Exit
from serving.logs import Log
from serving.model import Model
from serving.settings import Settings
from serving.startup import open_model


def run(settings: Settings, log: Log, environ: Mapping[str, str] | None = None) -> None:
    """Score this worker's part of the run of `settings`, and commit the run when it is the last.

    Raises:
        CommandError: with 78 where no other attempt could do better: the input is not there, its schema is not the
            model's, too many rows are bad.
    """
    metrics = Publisher(settings.environment, settings.service)
    try:
        _Worker(settings, log, metrics, os.environ if environ is None else environ).work()
    except CommandError as error:
        if error.code == Exit.CONFIG:  # this fails the run at once; anything else is tried again
            metrics.put({Metric.RUNS_FAILED: 1})
        raise


class _Worker:
    def __init__(self, settings: Settings, log: Log, metrics: Publisher, environ: Mapping[str, str]) -> None:
        if settings.batch_run is None:
            raise CommandError(Exit.CONFIG, "SLIPWAY_BATCH_RUN: not set; batch needs it")
        self._settings, self._log, self._run = settings, log, settings.batch_run
        self._part = _part(environ.get("JOB_COMPLETION_INDEX", "0"), settings.batch_parts)
        place = (settings.batch_output or "").rstrip("/")
        output = open_store("SLIPWAY_BATCH_OUTPUT", place and f"{place}/")
        self._commit = Commit(
            output, self._run, settings.batch_parts, settings.batch_max_bad_rows_percent, log, metrics
        )

    def work(self) -> None:
        """Score the part, unless an earlier attempt has; commit when all are there."""
        if self._commit.is_done():
            self._log.info("this run is committed already", run=self._run)
            return
        if self._commit.is_staged(self._part):
            self._log.info("an earlier attempt has scored this part", part=self._part)
        else:
            self._score()
        self._commit.finish()

    def _score(self) -> None:
        settings = self._settings
        # A run of the model has one thread; the threads of the settings have a run each, which wastes less.
        model = open_model(msgspec.structs.replace(settings, threads=1))
        if not model.manifest.features or not model.has_rows:
            raise CommandError(
                Exit.CONFIG, f"model {model.name} {model.version} has no features by name; batch scores rows by them"
            )
        columns = Columns(model.manifest)
        kept = self._commit.plan()
        minute = kept.minute if kept else batch_plan.run_minute(self._run)
        source = open_store("SLIPWAY_BATCH_INPUT", batch_plan.resolve(settings.batch_input or "", minute))
        reader = Reader(settings.batch_format, source, columns)
        if kept is None:
            version = (model.name, model.version)
            kept = self._commit.plan_once(
                batch_plan.plan_run(settings, source, self._run, minute, version, reader.look)
            )
        self._check(kept, model, source)
        identity = f"{settings.environment}/{settings.service}/{self._run}"
        ids = Ids(hashlib.sha256(identity.encode()).hexdigest()[:16])
        scorer = Scorer(model, columns, Results(model.manifest, kept.at), ids)
        with _scratch(settings.spool_dir) as folder:
            self._share(kept, scorer, reader, folder)

    def _check(self, plan: Plan, model: Model, source: Store) -> None:
        """Refuse to go on with a run that was begun as another one."""
        for what, planned, now in (
            ("model", " ".join(plan.model), f"{model.name} {model.version}"),
            ("input", plan.input, source.root),
            ("format", plan.format, self._settings.batch_format),
            ("parts", len(plan.parts), self._settings.batch_parts),
        ):
            if planned != now:
                raise CommandError(
                    Exit.CONFIG, f"run {self._run} began with {what} {planned}, not {now}; start it under another name"
                )

    def _share(self, plan: Plan, scorer: Scorer, reader: Reader, folder: Path) -> None:
        """Score the part's splits and stage what comes of it."""
        progress = Progress(self._log, plan.weight(self._part))
        rows, rejected, first = 0, 0, None
        # Of text it is not known before the end how many rows there are.
        total = sum(map(plan.weight, range(len(plan.parts)))) if plan.format == "parquet" else None
        results, aside = folder / "results.parquet", folder / "rejected.jsonl"
        part = PartFile(results)
        with aside.open("wb") as bad:
            for scored in scorer.scored(_blocks(plan, self._part, reader), self._settings.threads):
                if scored.table is not None:
                    rows += scored.table.num_rows
                    part.add(scored.table)
                for each in scored.rejected:
                    rejected += 1
                    bad.write(_line(plan, each))
                    first = first or f"{plan.files[each.file].key} row {each.number}: {each.reason}"
                if total and self._commit.too_many(rejected, total):
                    bad.flush()
                    self._commit.set_aside(self._part, aside)
                    self._commit.check(rejected, total, first)
                progress.tell(rows, rejected, scored.done)
        part.close()
        progress.end(rows, rejected)
        self._commit.stage(self._part, Staged(rows=rows, rejected=rejected, first_rejected=first), results, aside)


def _blocks(plan: Plan, part: int, reader: Reader) -> Iterator[Block]:
    """The blocks of a part, each with what is done by its end."""
    done = 0
    for split in plan.parts[part]:
        for block in reader.blocks(plan.files[split.file], split):
            yield block._replace(done=done + block.done)
        done += split.weight


def _line(plan: Plan, rejected: Rejected) -> bytes:
    """A rejected row, as a line of JSON."""
    told = {
        "file": f"{plan.input}{plan.files[rejected.file].key}",
        "row": rejected.number,
        "reason": rejected.reason,
        "values": rejected.row,
    }
    return msgspec.json.encode(told, enc_hook=str) + b"\n"


def _part(index: str, parts: int) -> int:
    if not index.isdigit() or int(index) >= parts:
        raise CommandError(
            Exit.CONFIG,
            f"JOB_COMPLETION_INDEX: expected 0 to {parts - 1} (SLIPWAY_BATCH_PARTS is {parts}), got {index!r}",
        )
    return int(index)


@contextmanager
def _scratch(spool: Path) -> Generator[Path]:
    """A folder for what grows until it is staged: on the pod's volume, where there is one."""
    with tempfile.TemporaryDirectory(prefix="batch-", dir=spool if spool.is_dir() else None) as folder:
        yield Path(folder)


def end_on_sigterm() -> None:
    """End at once, and tidily, when told to: what is staged stays, and the next attempt begins this part again."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
