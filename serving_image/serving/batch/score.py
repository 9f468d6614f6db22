"""Scoring of blocks of rows: on several threads at once, the results in the order of the input."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from serving.batch.input import Block, Rejected
from serving.batch.output import Ids, Results, texts
from serving.batch.rows import Columns
from serving.errors import InvalidInputError
from serving.exits import CommandError, Exit
from serving.logs import Log
from serving.model import Model
from serving.tensors import Array, Feeds

_TELL_EVERY_SECONDS = 5.0


class Scored(NamedTuple):
    """What became of a block: the results of its good rows (None: there are none), its bad rows, how far it reaches."""

    table: pa.Table | None
    rejected: list[Rejected]
    done: int


class Scorer:
    """Scores blocks with one model."""

    def __init__(self, model: Model, columns: Columns, results: Results, ids: Ids) -> None:
        self._model, self._columns, self._results, self._ids = model, columns, results, ids

    def scored(self, blocks: Iterable[Block], threads: int) -> Iterator[Scored]:
        """The blocks' results in their order; no more blocks are in memory than keep so many threads busy."""
        waiting: deque[Future[Scored]] = deque()
        with ThreadPoolExecutor(threads, thread_name_prefix="score") as pool:
            try:
                for block in blocks:
                    waiting.append(pool.submit(self.score, block))
                    if len(waiting) > threads + 1:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def score(self, block: Block) -> Scored:
        """The results of a block. Rows that cannot be read, or that the model refuses, are set aside."""
        rejected, batch, numbers = [*block.rejected], block.batch, block.numbers
        checked, wrong = self._columns.check(batch)
        while True:
            if wrong:
                for row, reason in sorted(wrong.items()):
                    (values,) = batch.slice(row, 1).to_pylist()
                    rejected.append(Rejected(block.file, int(numbers[row]), reason, values))
                good: Array = np.ones(len(numbers), np.bool_)
                good[list(wrong)] = False
                batch, numbers = batch.filter(pa.array(good)), numbers[good]
                checked, _ = self._columns.check(batch)
            if not len(numbers):
                return Scored(None, _in_order(rejected), block.done)
            try:
                outputs = self._run(checked.feeds, len(numbers))
                break
            except InvalidInputError as error:
                wrong = self._refused(checked.feeds, 0, len(numbers))
                if not wrong:
                    raise CommandError(
                        Exit.CONFIG, f"the model takes each of these rows, but not all: {error}"
                    ) from None
        ids = self._ids.of(block.file, numbers)
        table = self._results.table(ids, checked, outputs, texts(batch, self._columns.names))
        return Scored(table, _in_order(rejected), block.done)

    def _run(self, feeds: Feeds, count: int) -> dict[str, Array]:
        names = self._model.output_names
        if self._model.batches:
            return dict(zip(names, self._model.run(feeds, names), strict=True))
        # A graph that looks across its rows gives each its own answer only when it is asked alone.
        alone = [self._model.run(_rows(feeds, i, i + 1), names) for i in range(count)]
        return {name: np.concatenate([answer[i] for answer in alone]) for i, name in enumerate(names)}

    def _refused(self, feeds: Feeds, start: int, end: int) -> dict[int, str]:
        """The rows that the model refuses, found by halving."""
        try:
            self._run(_rows(feeds, start, end), end - start)
        except InvalidInputError as error:
            if end - start == 1:
                return {start: str(error)}
            middle = (start + end) // 2
            return self._refused(feeds, start, middle) | self._refused(feeds, middle, end)
        return {}


class Progress:
    """Tells how far a worker is: rows, rows a second, and how long it will take."""

    def __init__(self, log: Log, weight: int) -> None:
        self._log, self._weight = log, weight
        self._began = self._told = time.monotonic()
        self._done = 0

    def tell(self, rows: int, rejected: int, done: int) -> None:
        """Say so every few seconds; `done` is of the weight of the whole."""
        self._done = done = max(done, self._done)
        now = time.monotonic()
        if now - self._told < _TELL_EVERY_SECONDS:
            return
        self._told = now
        passed = now - self._began
        left = passed * (self._weight - done) / done if done else None
        self._log.info(
            "scoring",
            rows=rows,
            rejected=rejected,
            percent=round(100 * done / self._weight, 1) if self._weight else 100.0,
            rows_per_second=round(rows / passed),
            seconds_left=None if left is None else round(left),
        )

    def end(self, rows: int, rejected: int) -> None:
        """Say what it came to."""
        passed = time.monotonic() - self._began
        rate = round(rows / passed) if passed else 0
        self._log.info("scored", rows=rows, rejected=rejected, seconds=round(passed, 3), rows_per_second=rate)


def _rows(feeds: Feeds, start: int, end: int) -> Feeds:
    return {name: array[start:end] for name, array in feeds.items()}


def _in_order(rejected: list[Rejected]) -> list[Rejected]:
    return sorted(rejected, key=lambda each: each.number)
