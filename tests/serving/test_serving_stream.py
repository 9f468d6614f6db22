"""The stream core between a source and sinks in memory: what it does in which order, and what it survives."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from serving.logs import Log
from serving.metrics import Metrics
from serving.model import Model
from serving.plane import Plane
from serving.stream import score as stream_score
from serving.stream.core import Limits, Sinks, Stream
from serving.stream.score import Scored, Scorer
from serving.stream.sinks import as_text
from serving.stream.source import Message, SourceError
from stream_support import rows

LIMITS = Limits(window_seconds=0.01, window_messages=4, drain_seconds=2)
QUIET = Log("error")


def messages(bodies: Sequence[str]) -> list[Message]:
    return [Message(f"m{i}", f"place-{i}", body.encode(), time.time() - 5, i) for i, body in enumerate(bodies)]


class Memory:
    """A source of given messages and a sink, with a diary of what happened."""

    behind = 0.0

    def __init__(self, given: list[Message]) -> None:
        self.given = given
        self.diary: list[tuple[str, list[str]]] = []
        self.rooms: list[int] = []
        self.failures: list[Exception] = []
        self.answers: list[dict[str, Any]] = []
        self.reasons: dict[str, str] = {}
        self.held = self.most_held = 0

    def note(self, what: str, who: list[Message]) -> None:
        self.diary.append((what, [message.id for message in who]))

    async def open(self) -> None:
        pass

    async def fetch(self, room: int) -> list[Message]:
        await asyncio.sleep(0)
        if not self.given:
            await asyncio.sleep(0.01)
        self.rooms.append(room)
        found, self.given = self.given[:room], self.given[room:]
        self.held += len(found)
        self.most_held = max(self.most_held, self.held)
        return found

    async def write(self, scored: Sequence[Scored]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.note("write", [each.message for each in scored])
        self.answers += [answer for each in scored for answer in each.answers]
        self.reasons |= {each.message.id: each.refused for each in scored if each.refused}

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        self.held -= len(messages)
        self.note("acknowledge", list(messages))

    async def release(self, messages: Sequence[Message]) -> None:
        self.note("release", list(messages))

    async def close(self) -> None:
        self.note("close", [])

    def done(self) -> list[str]:
        return [one for what, ids in self.diary if what == "acknowledge" for one in ids]


def work(
    model: Model,
    memory: Memory,
    until: Callable[[], bool],
    limits: Limits = LIMITS,
    dead: Memory | None = None,
    attempts: int = 3,
) -> Stream:
    """Run a core until something is so, then stop it."""

    async def run() -> Stream:
        metrics = Metrics()
        plane = Plane([model], metrics, max_queue=10, deadline_seconds=1)
        scorer = Scorer(plane, QUIET, max_rows=10, attempts=attempts)
        stream = Stream(memory, scorer, Sinks([memory], dead or memory), limits, metrics, QUIET)
        task = asyncio.create_task(stream.run())
        async with asyncio.timeout(20):
            while not until() and not task.done():  # noqa: ASYNC110 - what is waited for sets no event
                await asyncio.sleep(0.005)
            stream.stop()
            await task
        return stream

    return asyncio.run(run())


def test_messages_are_written_before_they_are_acknowledged_in_their_order(model: Model) -> None:
    memory = Memory(messages(rows(0, 20)))
    work(model, memory, lambda: len(memory.done()) == 20)
    assert memory.done() == [f"m{i}" for i in range(20)]
    for (first, written), (second, acknowledged) in zip(memory.diary[::2], memory.diary[1::2], strict=False):
        if first == "write":
            assert (second, acknowledged) == ("acknowledge", written)
    assert [answer["prediction_id"] for answer in memory.answers] == [f"m{i}-0" for i in range(20)]
    assert memory.diary[-2:] == [("release", []), ("close", [])]


def test_no_more_is_fetched_than_may_be_in_hand(model: Model) -> None:
    memory = Memory(messages(rows(0, 40)))
    work(model, memory, lambda: len(memory.done()) == 40)
    assert memory.most_held <= LIMITS.in_hand
    assert max(memory.rooms) == LIMITS.in_hand


def test_large_messages_count_by_their_bytes(model: Model) -> None:
    small = LIMITS._replace(window_messages=1000, window_bytes=200)
    memory = Memory(messages(rows(0, 30)))
    work(model, memory, lambda: len(memory.done()) == 30, small)
    windows = [ids for what, ids in memory.diary if what == "acknowledge"]
    assert max(map(len, windows)) <= 200 // len(rows(0, 1)[0]) + 1


def test_a_sink_that_fails_is_tried_until_it_works_and_nothing_is_acknowledged_before(model: Model) -> None:
    memory = Memory(messages(rows(0, 3)))
    memory.failures = [SourceError("s3: no answer"), SourceError("s3: no answer")]
    work(model, memory, lambda: len(memory.done()) == 3)
    assert [what for what, _ in memory.diary[:2]] == ["write", "acknowledge"]


def test_what_is_not_finished_in_time_goes_back(model: Model) -> None:
    memory = Memory(messages(rows(0, 6)))
    memory.failures = [SourceError("s3: no answer")] * 1000
    work(model, memory, lambda: len(memory.failures) < 1000, LIMITS._replace(drain_seconds=0.1))
    assert memory.done() == []
    assert ("release", [f"m{i}" for i in range(6)]) in memory.diary


def test_a_defect_ends_the_worker_and_gives_back_what_it_had(model: Model) -> None:
    memory = Memory(messages(rows(0, 2)))
    memory.failures = [RuntimeError("a defect")]
    with pytest.raises(RuntimeError, match="a defect"):
        work(model, memory, lambda: False)
    assert ("release", ["m0", "m1"]) in memory.diary


def test_bad_messages_are_set_aside_with_the_reason_and_spoil_no_other(model: Model) -> None:
    bodies = [*rows(0, 2), "[]", '{"rows": [{"carrier": "UA", "temp": "hot"}]}', "", *rows(2, 1), '{"rows": 3}']
    memory, dead = Memory(messages(bodies)), Memory([])
    work(model, memory, lambda: len(memory.done()) == 7, dead=dead)
    assert [answer["prediction_id"] for answer in memory.answers] == ["m0-0", "m1-0", "m5-0"]
    assert dead.reasons == {
        "m2": "expected an object, got a list",
        "m3": "rows[0].temp: expected a number or null, got a string",
        "m4": "not JSON: Input data was truncated",
        "m6": "rows: unknown",
    }


def test_what_fails_for_no_fault_of_its_own_is_tried_so_often_and_then_set_aside(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def decode(model: Any, body: bytes, message: str, *more: Any) -> Any:
        tried.append(message)
        if message == "m1" or (message == "m2" and tried.count("m2") < 3):
            raise MemoryError("no room")
        return real(model, body, message, *more)

    real = stream_score.decode
    monkeypatch.setattr(stream_score, "decode", decode)
    monkeypatch.setattr(stream_score, "_PAUSE_SECONDS", 0.001)
    memory, dead = Memory(messages(rows(0, 4))), Memory([])
    work(model, memory, lambda: len(memory.done()) == 4, dead=dead)
    assert dead.reasons == {"m1": "failed 3 times, last: MemoryError: no room"}
    assert [answer["prediction_id"] for answer in memory.answers] == ["m0-0", "m2-0", "m3-0"]


def test_lag_is_the_age_of_the_oldest_message_in_hand(model: Model) -> None:
    memory = Memory([])
    stream = work(model, memory, lambda: len(memory.rooms) > 1)
    assert stream.lag_seconds == 0
    memory.behind = 7.5
    assert stream.lag_seconds == 7.5


@pytest.mark.parametrize(
    ("body", "text", "about"),
    [
        (b'{"a": "\xc3\xbc"}', '{"a": "ü"}', {}),
        (b"\xff\x00", "/wA=", {"encoding": "base64"}),
        (b"a\x00b", "YQBi", {"encoding": "base64"}),
        (b"", "-", {"encoding": "base64"}),
        (b"x" * 200_000, "x" * 180_000, {"cut": "200000"}),
    ],
)
def test_any_bytes_fit_into_a_dead_letter(body: bytes, text: str, about: dict[str, str]) -> None:
    assert as_text(body) == (text, about)
