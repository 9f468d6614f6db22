"""A window of messages scored at once: what each was answered, or why it cannot be.

No network is waited for here, except for features that are looked up: in one call for the whole window.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from serving.captured import Prediction, Reader
from serving.errors import ServingError, UnavailableError
from serving.keyed_rows import KeyedRows
from serving.logs import Log
from serving.model import Model
from serving.plane import Answer, Plane, Question
from serving.stream.decode import Given, decode
from serving.stream.source import Message

_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 5.0


class Scored(NamedTuple):
    """What became of a message: its predictions, or the reason why there are none."""

    message: Message
    answers: Sequence[dict[str, Any]] = ()
    """Outputs by name, and `prediction_id`, of each row."""
    captured: Sequence[Prediction] = ()
    """The same for the event store."""
    refused: str = ""
    """What is wrong with it; empty when nothing is."""


class Scorer:
    """Scores messages with one model. `attempts` is how often it tries what fails for no fault of the message."""

    def __init__(self, plane: Plane, log: Log, *, max_rows: int, attempts: int, keyed: KeyedRows | None = None) -> None:
        self._plane, self._log, self._max_rows, self._attempts, self._keyed = plane, log, max_rows, attempts, keyed
        self._model: Model = plane.default
        self._reader = Reader(self._model)

    def score(self, messages: Sequence[Message]) -> list[Scored]:
        """Score a window, in its order. What fails together is tried one by one, so that none spoils the others.

        Raises:
            UnavailableError: the feature tables do not answer, for any message.
        """
        try:
            return self._score(messages)
        except UnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - a defect, or memory: some of these may still succeed
            self._log.warning(f"a window of {len(messages)} messages failed; trying each alone: {_named(error)}")
        return [self._alone(message) for message in messages]

    def _alone(self, message: Message) -> Scored:
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._score([message])[0]
            except UnavailableError:
                raise
            except Exception as error:  # noqa: BLE001 - see `score`
                self._log.error("a message could not be scored", error, place=message.place, attempt=attempt)
                if attempt >= self._attempts:
                    return Scored(message, refused=f"failed {attempt} times, last: {_named(error)}")
            time.sleep(min(_LONGEST_PAUSE_SECONDS, _PAUSE_SECONDS * 2**attempt))

    def _score(self, messages: Sequence[Message]) -> list[Scored]:
        asked = self._looked_up([self._read(message) for message in messages])
        questions = [question for question in asked if isinstance(question, Question)]
        answers = iter(self._plane.answer_all(questions))
        at_us, now = time.time_ns() // 1000, time.time()
        scored: list[Scored] = []
        for message, question in zip(messages, asked, strict=True):
            answer = next(answers) if isinstance(question, Question) else question
            if isinstance(answer, ServingError):
                scored.append(Scored(message, refused=str(answer)))
            elif isinstance(question, Question):
                latency_us = max(0, int(1e6 * (now - message.at)))
                scored.append(self._answered(message, question, answer, at_us, latency_us))
        return scored

    def _read(self, message: Message) -> Question | Given | ServingError:
        try:
            return decode(self._model, message.body, message.id, self._max_rows, self._keyed)
        except ServingError as error:
            return error

    def _looked_up(self, asked: Sequence[Question | Given | ServingError]) -> list[Question | ServingError]:
        given = [each for each in asked if isinstance(each, Given)]
        completed = iter(self._keyed.wait([each.rows for each in given]) if self._keyed and given else ())
        questions: list[Question | ServingError] = []
        for each in asked:
            if isinstance(each, Given):
                rows = next(completed)
                whole = not isinstance(rows, ServingError)
                questions.append(Question(self._model, len(rows), rows=rows, id=each.message) if whole else rows)
            else:
                questions.append(each)
        return questions

    def _answered(self, message: Message, question: Question, answer: Answer, at_us: int, latency_us: int) -> Scored:
        if question.rows is None:
            arrays = {name: answer.array(name).tolist() for name in question.outputs}
            rows, outputs, ids = self._reader.joined(question.tensors(), arrays, question.count, question.id)
        else:
            rows = [msgspec.to_builtins(row) for row in question.rows]
            values = zip(*answer.values(question.outputs), strict=True)
            outputs = [dict(zip(question.outputs, each, strict=True)) for each in values]
            ids = [f"{question.id}-{i}" for i in range(question.count)]
        captured = [
            self._reader.prediction(id_, row, output, at_us, latency_us)
            for id_, row, output in zip(ids, rows, outputs, strict=True)
        ]
        answers = [{"prediction_id": id_, **output} for id_, output in zip(ids, outputs, strict=True)]
        return Scored(message, answers, captured)


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
