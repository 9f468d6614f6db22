import asyncio
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from serving.errors import DeadlineExceededError, InvalidInputError, NotFoundError, OverloadedError, ServingError
from serving.metrics import Metrics
from serving.model import Model
from serving.plane import Answer, Plane, Question
from serving_packages import score


def plane_of(model: Model, **options: Any) -> tuple[Plane, Metrics]:
    metrics = Metrics()
    return Plane([model], metrics, **{"max_queue": 100, "deadline_seconds": 10, **options}), metrics


def asked(model: Model, temp: float, count: int = 1, **options: Any) -> Question:
    rows = [model.rows.convert({"carrier": "UA", "temp": temp + i, "wind": 1}) for i in range(count)]
    return Question(model, count, rows=rows, **options)


async def answers(plane: Plane, questions: Sequence[Question]) -> list[Answer | ServingError]:
    """What is delivered for questions that are submitted at once, in the order of the questions."""
    loop = asyncio.get_running_loop()
    futures = {id(question): loop.create_future() for question in questions}
    for question in questions:
        plane.submit(question, lambda question, result: futures[id(question)].set_result(result))
    return list(await asyncio.gather(*futures.values()))


def number(metrics: Metrics, name: str) -> float:
    """The sum of a metric's lines in the scrape."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in metrics.render().splitlines() if line.startswith(name + "{"))


def probabilities(answer: Answer | ServingError) -> list[float]:
    assert isinstance(answer, Answer)
    return answer.values(["probability"])[0]


def test_questions_that_meet_share_a_run_and_get_their_own_rows(model: Model) -> None:
    plane, metrics = plane_of(model)
    questions = [asked(model, i, count=1 + i % 3) for i in range(20)]
    results = asyncio.run(answers(plane, questions))
    for i, result in enumerate(results):
        assert probabilities(result) == pytest.approx([score("UA", i + k, 1) for k in range(1 + i % 3)], abs=1e-6)
    assert number(metrics, "slipway_run_rows_count") == 1
    assert number(metrics, "slipway_rows_total") == sum(1 + i % 3 for i in range(20))


def test_rows_and_tensors_may_share_a_run(model: Model) -> None:
    plane, _ = plane_of(model)
    feeds = {"carrier": np.array([["UA"]], object), "weather": np.array([[5, 1]], np.float32)}
    questions = [asked(model, 1), Question(model, 1, feeds=feeds, outputs=["probability"])]
    first, second = asyncio.run(answers(plane, questions))
    assert probabilities(first) + probabilities(second) == pytest.approx(
        [score("UA", 1, 1), score("UA", 5, 1)], abs=1e-6
    )


def test_one_bad_question_does_not_spoil_the_run_of_the_others(model: Model) -> None:
    plane, metrics = plane_of(model)
    bad = Question(model, 1, feeds={"carrier": np.array([["UA"]], object), "weather": np.ones((1, 3), np.float32)})
    results = asyncio.run(answers(plane, [asked(model, 1), bad, asked(model, 2)]))
    assert [type(result) for result in results] == [Answer, InvalidInputError, Answer]
    assert str(results[1]).startswith("the model refuses these values: ")
    assert probabilities(results[2]) == pytest.approx([score("UA", 2, 1)], abs=1e-6)
    assert number(metrics, "slipway_model_errors_total") == 1


def test_a_large_run_leaves_the_event_loop_free(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that takes 50 ms runs beside the loop, and what arrives meanwhile goes together into the next run."""
    run = Model.run
    monkeypatch.setattr(Model, "run", lambda *given: (time.sleep(0.05), run(*given))[1])
    monkeypatch.setattr(model, "seconds_a_run", 0.05)
    plane, metrics = plane_of(model)

    async def ask() -> float:
        loop = asyncio.get_running_loop()
        first = loop.create_task(answers(plane, [asked(model, 0)]))
        await asyncio.sleep(0.01)
        rest = [loop.create_task(answers(plane, [asked(model, i)])) for i in range(5)]
        longest, last = 0.0, time.perf_counter()
        while not all(task.done() for task in (first, *rest)):
            await asyncio.sleep(0.001)
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
        for i, task in enumerate(rest):
            assert probabilities(task.result()[0]) == pytest.approx([score("UA", i, 1)], abs=1e-6)
        return longest

    assert asyncio.run(ask()) < 0.04
    plane.close()
    assert number(metrics, "slipway_run_rows_count") == 2


def test_what_waited_too_long_is_not_run(model: Model) -> None:
    plane, metrics = plane_of(model)
    late = asked(model, 1)
    late.deadline = late.started
    results = asyncio.run(answers(plane, [late, asked(model, 2)]))
    assert [type(result) for result in results] == [DeadlineExceededError, Answer]
    assert number(metrics, "slipway_rows_total") == 1
    with pytest.raises(DeadlineExceededError, match="not answered within its deadline: it waited"):
        plane.answer(late)


def test_more_than_may_wait_are_turned_away(model: Model) -> None:
    plane, _ = plane_of(model, max_queue=3)

    async def ask() -> None:
        for _ in range(3):
            plane.submit(asked(model, 1), lambda *_: None)
        with pytest.raises(OverloadedError, match="3 requests are waiting already; send it again later"):
            plane.submit(asked(model, 1), lambda *_: None)
        await asyncio.sleep(0.05)
        plane.submit(asked(model, 1), lambda *_: None)

    asyncio.run(ask())


def test_an_unknown_model_or_version_is_named_with_what_there_is(model: Model) -> None:
    plane, _ = plane_of(model)
    assert plane.model("delay") is plane.model("delay", "1") is model
    with pytest.raises(NotFoundError, match=r"^no model 'relay' here; this server has delay version 1$"):
        plane.model("relay")
    with pytest.raises(NotFoundError, match=r"^no model 'delay' version '2' here; this server has delay version 1$"):
        plane.model("delay", "2")


def test_workers_share_their_metrics() -> None:
    from serving.metrics import new_shared

    shared = new_shared(2)
    both = [Metrics(worker, 2, shared) for worker in range(2)]
    for worker, metrics in enumerate(both):
        metrics.counter("asked_total", "Questions.", {"code": 'a"b'}).add(worker + 1)
        metrics.gauge("up", "Workers.").set(1)
        seconds = metrics.histogram("seconds", "Time.", bounds=(0.1, 1))
        for value in (0.05, 0.1, 0.5, 3):
            seconds.observe(value)
    text = both[0].render()
    assert text == both[1].render()
    assert 'asked_total{code="a\\"b"} 3\n' in text
    assert "# TYPE up gauge\nup 2\n" in text
    buckets = [
        'seconds_bucket{le="0.1"} 4',
        'seconds_bucket{le="1"} 6',
        'seconds_bucket{le="+Inf"} 8',
        "seconds_sum 7.3",
        "seconds_count 8",
    ]
    assert [line for line in text.splitlines() if line.startswith("seconds")] == buckets
    again = Metrics(1, 2, shared)
    assert again.counter("asked_total", "Questions.", {"code": 'a"b'}).value == 2
