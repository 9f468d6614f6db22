"""The data plane: questions in, answers out, whatever the transport.

A transport reads a request into a `Question`, hands it to `Plane.submit` (from an event loop) or `Plane.answer` (from a
thread of its own), and writes the `Answer` or the error in its own words. Questions that arrive while others are being
answered share one run of the model where that is faster; a lone one never waits for company.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.errors import DeadlineExceededError, InvalidInputError, NotFoundError, OverloadedError, ServingError
from serving.metrics import ROWS, Metrics
from serving.rows import Row
from serving.signature import Signature
from serving.tensors import Array, Feeds

if TYPE_CHECKING:
    from serving.model import Model

INLINE_SECONDS = 0.001
"""A run expected to take less is made on the event loop itself: handing it to a thread costs more than it frees."""

_MOST_MERGED_ROWS = 256


class Question:
    """One request to a model: `rows` by feature name or `feeds`, checked tensors; `count` is its number of rows."""

    __slots__ = ("count", "deadline", "feeds", "id", "model", "outputs", "rows", "started")

    def __init__(
        self,
        model: Signature,
        count: int,
        *,
        rows: Sequence[Row] | None = None,
        feeds: Feeds | None = None,
        outputs: Sequence[str] | None = None,
        id: str = "",  # noqa: A002 - the protocol's word
    ) -> None:
        self.model = model
        self.count = count
        self.rows = rows
        self.feeds = feeds
        self.outputs = model.output_names if outputs is None else outputs
        self.id = id
        self.started = time.perf_counter()
        self.deadline = float("inf")

    def tensors(self) -> Feeds:
        """The input tensors, made from rows when the question came as rows."""
        if self.feeds is None:
            self.feeds = self.model.rows.tensors(self.rows or ())
        return self.feeds


class Answer:
    """Rows `start` to `stop` of the arrays that one run gave; several answers may share them."""

    __slots__ = ("_run", "start", "stop")

    def __init__(self, run: "_Run", start: int, stop: int | None) -> None:
        self._run, self.start, self.stop = run, start, stop

    def array(self, name: str) -> Array:
        """One output of this answer."""
        array = self._run.arrays[name]
        return array if self.stop is None else array[self.start : self.stop]

    def values(self, names: Sequence[str]) -> list[list[Any]]:
        """Outputs as Python lists, one item a row."""
        lists = self._run.as_lists()
        return [lists[name] if self.stop is None else lists[name][self.start : self.stop] for name in names]


class _Run:
    __slots__ = ("_lists", "arrays")

    def __init__(self, arrays: dict[str, Array]) -> None:
        self.arrays = arrays
        self._lists: dict[str, list[Any]] | None = None

    def as_lists(self) -> dict[str, list[Any]]:
        """Converted once for all who share the run."""
        if self._lists is None:
            self._lists = {name: array.tolist() for name, array in self.arrays.items()}
        return self._lists


Done = Callable[[Question, Answer | ServingError], None]


class Plane:
    """The models of this process and how questions get to them."""

    def __init__(self, models: "Sequence[Model]", metrics: Metrics, *, max_queue: int, deadline_seconds: float) -> None:
        self.models: Mapping[tuple[str, str], Model] = {(model.name, model.version): model for model in models}
        self.default = models[0]
        self.deadline_seconds = deadline_seconds
        self._lines = {id(model): _Line(model, metrics, max_queue) for model in models}

    def model(self, name: str, version: str | None = None) -> "Model":
        """The model of that name, the default version unless one is given.

        Raises:
            NotFoundError: naming what there is.
        """
        if version is None and name == self.default.name:
            return self.default
        found = self.models.get((name, version or ""))
        if found is None:
            there = ", ".join(f"{name} version {version}" for name, version in self.models)
            asked = f"model {name!r}" + (f" version {version!r}" if version else "")
            raise NotFoundError(f"no {asked} here; this server has {there}")
        return found

    def versions(self, name: str) -> list[str]:
        """The versions of a model that are here."""
        return [version for known, version in self.models if known == name]

    def submit(self, question: Question, done: Done) -> None:
        """Answer a question on the running event loop; `done` is called later, once, with the answer or the error.

        Raises:
            OverloadedError: as many questions wait as may.
        """
        question.deadline = min(question.deadline, question.started + self.deadline_seconds)
        self._lines[id(question.model)].submit(question, done)

    def answer(self, question: Question) -> Answer:
        """Answer a question on the calling thread.

        Raises:
            ServingError: what is wrong with it, or that it came too late.
        """
        question.deadline = min(question.deadline, question.started + self.deadline_seconds)
        return self._lines[id(question.model)].answer(question)

    def answer_all(self, questions: Sequence[Question]) -> list[Answer | ServingError]:
        """Answer questions to the default model on the calling thread, in as few runs as is fast."""
        return self._lines[id(self.default)].answer_all(questions)

    def close(self) -> None:
        """Let the threads go, once nothing is asked any more."""
        for line in self._lines.values():
            line.close()


class _Line:
    """The questions waiting for one model, and the runs that answer them."""

    def __init__(self, model: "Model", metrics: Metrics, max_queue: int) -> None:
        self._model = model
        self._max_queue = max_queue
        self._waiting: deque[tuple[Question, Done]] = deque()
        self._scheduled = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: ThreadPoolExecutor | None = None
        # Merging saves the fixed cost of a run and makes the first wait for the last: rows are added while that pays.
        fixed = max(0.0, model.seconds_a_run - model.seconds_a_row)
        worth = max(8 * fixed, INLINE_SECONDS) / max(model.seconds_a_row, 1e-9)
        self._most_rows = int(max(1, min(worth, _MOST_MERGED_ROWS))) if model.batches else 1
        self._tally = _Tally(model, metrics)

    def submit(self, question: Question, done: Done) -> None:
        if len(self._waiting) >= self._max_queue:
            raise OverloadedError(f"{len(self._waiting)} requests are waiting already; send it again later")
        self._waiting.append((question, done))
        if not self._scheduled:
            self._scheduled = True
            self._loop = self._loop or asyncio.get_running_loop()
            # Whatever else is readable in this turn of the loop is read first, and shares the run.
            self._loop.call_soon(self._next)

    def answer(self, question: Question) -> Answer:
        _check_deadline(question)
        try:
            return self._run([question])[0]
        except InvalidInputError:
            self._tally.refused()
            raise

    def answer_all(self, questions: Sequence[Question]) -> "list[Answer | ServingError]":
        batch, rows, results = list[Question](), 0, list[Answer | ServingError]()
        for question in questions:
            if batch and rows + question.count > self._most_rows:
                results += self._try(batch)
                batch, rows = [], 0
            batch.append(question)
            rows += question.count
        return results + self._try(batch) if batch else results

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def _next(self) -> None:
        batch, rows = self._take()
        if self._model.expected_seconds(rows) <= INLINE_SECONDS:
            self._deliver(batch, self._try([question for question, _ in batch]))
        else:
            self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix="model")
            future = self._pool.submit(self._try, [question for question, _ in batch])
            future.add_done_callback(lambda ended: self._back(batch, ended))

    def _back(self, batch: list[tuple[Question, Done]], ended: "Future[list[Answer | ServingError]]") -> None:
        assert self._loop is not None  # noqa: S101 - set by submit, without which there is no batch
        self._loop.call_soon_threadsafe(self._deliver, batch, ended.result())

    def _deliver(self, batch: list[tuple[Question, Done]], results: "list[Answer | ServingError]") -> None:
        if self._waiting and self._loop is not None:
            self._loop.call_soon(self._next)
        else:
            self._scheduled = False
        for (question, done), result in zip(batch, results, strict=True):
            done(question, result)

    def _take(self) -> tuple[list[tuple[Question, Done]], int]:
        """The first question, and those after it that may share its run."""
        waiting = self._waiting
        batch = [waiting.popleft()]
        rows = batch[0][0].count
        while waiting and rows + waiting[0][0].count <= self._most_rows:
            batch.append(waiting.popleft())
            rows += batch[-1][0].count
        return batch, rows

    def _try(self, questions: list[Question]) -> "list[Answer | ServingError]":
        """A result for each; where a shared run fails, each is asked alone, so that one cannot spoil the others."""
        try:
            for question in questions:
                _check_deadline(question)
            return [*self._run(questions)]
        except ServingError as error:
            if len(questions) > 1:
                return [result for question in questions for result in self._try([question])]
            if isinstance(error, InvalidInputError):
                self._tally.refused()
            return [error]

    def _run(self, questions: list[Question]) -> list[Answer]:
        first = questions[0]
        outputs, count = first.outputs, first.count
        if len(questions) == 1:
            feeds = first.tensors()
        else:
            feeds = self._merged(questions)
            count = sum(question.count for question in questions)
            if any(question.outputs != outputs for question in questions):
                outputs = self._model.output_names
        started = time.perf_counter()
        arrays = self._model.run(feeds, outputs)
        self._tally.ran(count, time.perf_counter() - started)
        run = _Run(dict(zip(outputs, arrays, strict=True)))
        if len(questions) == 1:
            return [Answer(run, 0, None)]
        answers: list[Answer] = []
        start = 0
        for question in questions:
            answers.append(Answer(run, start, start + question.count))
            start += question.count
        return answers

    def _merged(self, questions: list[Question]) -> Feeds:
        if all(question.feeds is None for question in questions):
            return self._model.rows.tensors([row for question in questions for row in question.rows or ()])
        feeds = [question.tensors() for question in questions]
        try:
            return {name: np.concatenate([each[name] for each in feeds]) for name in self._model.inputs}
        except ValueError:  # their free dimensions differ
            raise InvalidInputError("these questions cannot share a run") from None


class _Tally:
    """What is counted about a model; runs are made on several threads."""

    def __init__(self, model: "Model", metrics: Metrics) -> None:
        labels = {"model": model.name, "model_version": model.version}
        self._lock = threading.Lock()
        self._rows = metrics.counter("slipway_rows_total", "Rows that a model was run on.", labels)
        self._sizes = metrics.histogram("slipway_run_rows", "Rows of one run of a model.", labels, ROWS)
        self._seconds = metrics.histogram("slipway_run_seconds", "Seconds of one run of a model.", labels)
        self._refused = metrics.counter("slipway_model_errors_total", "Questions that a model refused.", labels)

    def ran(self, rows: int, seconds: float) -> None:
        with self._lock:
            self._seconds.observe(seconds)
            self._sizes.observe(rows)
            self._rows.add(rows)

    def refused(self) -> None:
        with self._lock:
            self._refused.add()


def _check_deadline(question: Question) -> None:
    if time.perf_counter() > question.deadline:
        waited = time.perf_counter() - question.started
        raise DeadlineExceededError(f"not answered within its deadline: it waited {waited:.3f} s")
