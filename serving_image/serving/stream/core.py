"""The stream core: fetch, score, write, acknowledge, in this order, whatever the source.

A message is acknowledged only when its predictions are in the event store (and on the output topic), or when it is in
the dead-letter queue: a worker that is killed at any point loses nothing, and what comes twice carries the same ids.
What fails for all messages alike (the event store, the queues) is waited out, however long it takes: the messages wait
in their source, for no more are fetched than `Limits` allows.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

from serving.errors import UnavailableError
from serving.logs import Log
from serving.metrics import Metrics
from serving.stream.score import Scored, Scorer
from serving.stream.source import Message, Source, SourceError

Done = TypeVar("Done")
_LONGEST_WAIT_SECONDS = 30.0


class Sink(Protocol):
    """A place that results go to."""

    async def write(self, scored: Sequence[Scored]) -> None:
        """Return once they are there for good. SourceError when they may not be."""
        ...


class Limits(NamedTuple):
    """How much is worked on at once."""

    window_seconds: float
    """How long messages are gathered into one write, from the first on."""
    window_messages: int
    """How many are at most."""
    drain_seconds: float
    """How long what is in hand may take after `stop`."""
    window_bytes: int = 4 * 1024 * 1024
    """How many bytes of messages one write has at most, unless a single message has more."""

    @property
    def in_hand(self) -> int:
        """Most messages that are fetched and not acknowledged: one window being written, one being gathered."""
        return 2 * self.window_messages


class Stream:
    """Moves messages from `source` to `store` and `output`, refused ones to `dead_letters`."""

    def __init__(
        self,
        source: Source,
        scorer: Scorer,
        sinks: "Sinks",
        limits: Limits,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._source, self._scorer, self._sinks, self._limits, self._log = source, scorer, sinks, limits, log
        self._waiting: deque[tuple[Message, float]] = deque()
        """Fetched, with the loop's time then; not yet in a window."""
        self._window: list[Message] = []
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._fetching = True
        self._failing = ""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._count = Counts(metrics)

    @property
    def lag_seconds(self) -> float:
        """Age of the oldest event that is known to wait."""
        held = [*self._window[:1], *(message for message, _ in [*self._waiting][:1])]
        oldest = min((message.at for message in held), default=None)
        return max(self._source.behind, 0.0 if oldest is None else time.time() - oldest)

    def stop(self) -> None:
        """Fetch no more, finish what is in hand; `run` then returns."""
        self._stopping.set()
        self._changed.set()

    async def run(self) -> None:
        """Work until `stop`. Afterwards nothing is held any more: what could not be finished has been given back."""
        tasks = [asyncio.create_task(work) for work in (self._fetch(), self._work(), self._stopping.wait())]
        fetching, working, _ = tasks
        try:
            # The first two end before `stop` only by a defect, which `result` raises.
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if self._stopping.is_set():
                await asyncio.wait({fetching, working}, timeout=self._limits.drain_seconds)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            left = [*self._window, *(message for message, _ in self._waiting)]
            if left:
                self._log.warning(
                    f"{len(left)} messages could not be finished in time and go back", failing=self._failing
                )
            with contextlib.suppress(SourceError):
                await self._source.release(left)
            with contextlib.suppress(SourceError):
                await self._source.close()
            self._thread.shutdown(wait=False)
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def _fetch(self) -> None:
        wait = 0.0
        try:
            while not self._stopping.is_set():
                room = self._room()
                if room <= 0:
                    await self._change()
                    continue
                try:
                    found = await self._source.fetch(room)
                except SourceError as error:
                    wait = self._complain(f"nothing can be fetched: {error}", wait)
                    await self._pause(wait)
                    continue
                if wait:
                    self._recovered()
                    wait = 0.0
                now = asyncio.get_running_loop().time()
                self._waiting.extend((message, now) for message in found)
                self._tell()
                if found:
                    self._changed.set()
        finally:
            self._fetching = False
            self._changed.set()

    def _room(self) -> int:
        held = len(self._waiting) + len(self._window)
        size = sum(len(message.body) for message, _ in self._waiting)
        return 0 if size >= self._limits.window_bytes else self._limits.in_hand - held

    async def _work(self) -> None:
        while await self._gather():
            began = time.perf_counter()
            scored = await self._insist(self._score)
            good, bad = [each for each in scored if not each.refused], [each for each in scored if each.refused]
            for sink in self._sinks.results if good else ():
                await self._insist(partial(sink.write, good))
            if bad:
                await self._insist(partial(self._sinks.dead_letters.write, bad))
                self._log.warning(f"{len(bad)} messages set aside", first=bad[0].message.place, reason=bad[0].refused)
            await self._insist(partial(self._source.acknowledge, self._window))
            self._count.finished(len(good), len(bad), sum(len(each.answers) for each in good), began)
            self._window = []
            self._tell()
            self._changed.set()

    async def _score(self) -> list[Scored]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._scorer.score, self._window)

    async def _gather(self) -> bool:
        """Fill the window; False when no message will come any more."""
        loop, limits = asyncio.get_running_loop(), self._limits
        while not self._waiting:
            if not self._fetching:
                return False
            await self._change()
        until = self._waiting[0][1] + limits.window_seconds
        while len(self._waiting) < limits.window_messages and self._fetching and self._room() > 0:
            left = until - loop.time()
            if left <= 0:
                break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._change()
        size = 0
        while self._waiting and len(self._window) < limits.window_messages and size < limits.window_bytes:
            message, _ = self._waiting.popleft()
            self._window.append(message)
            size += len(message.body)
        self._changed.set()
        return True

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _insist(self, work: Callable[[], Awaitable[Done]]) -> Done:
        """Do it until it works: the messages are neither acknowledged nor given up."""
        wait = 0.0
        while True:
            try:
                done = await work()
            except (SourceError, UnavailableError) as error:
                wait = self._complain(str(error), wait)
                await asyncio.sleep(wait)
            else:
                if wait:
                    self._recovered()
                return done

    def _complain(self, why: str, waited: float) -> float:
        """Tell once, and how long to wait: twice as long each time, up to half a minute."""
        self._count.failed()
        if why != self._failing:
            self._failing = why
            self._log.warning(f"{why}; trying again until it works")
        return min(_LONGEST_WAIT_SECONDS, max(0.5, 2 * waited))

    def _recovered(self) -> None:
        self._failing = ""
        self._log.info("it works again")

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _tell(self) -> None:
        self._count.lag.set(self.lag_seconds)
        self._count.in_hand.set(len(self._waiting) + len(self._window))


class Sinks(NamedTuple):
    """Where results go, in the order in which they are written."""

    results: Sequence[Sink]
    dead_letters: Sink


class Counts:
    """What a worker counts."""

    def __init__(self, metrics: Metrics) -> None:
        name, text = "slipway_stream_messages_total", "Messages acknowledged: predicted, or set aside as dead letters."
        self._good = metrics.counter(name, text, {"result": "predicted"})
        self._bad = metrics.counter(name, text, {"result": "dead_letter"})
        self._events = metrics.counter("slipway_stream_events_total", "Rows of messages that were predicted.")
        self._errors = metrics.counter("slipway_stream_retries_total", "Times that a service it needs did not answer.")
        self._seconds = metrics.histogram(
            "slipway_stream_window_seconds", "Seconds from a full window to its acknowledgement."
        )
        self.lag = metrics.gauge("slipway_stream_lag_seconds", "Age of the oldest event that is known to wait.")
        self.in_hand = metrics.gauge("slipway_stream_in_hand", "Messages fetched and not acknowledged.")

    def finished(self, good: int, bad: int, rows: int, began: float) -> None:
        """A window was acknowledged."""
        self._good.add(good)
        self._bad.add(bad)
        self._events.add(rows)
        self._seconds.observe(time.perf_counter() - began)

    def failed(self) -> None:
        """Something did not work and is tried again."""
        self._errors.add()
