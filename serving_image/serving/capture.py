"""Capture: which requests and outcomes go to the spool, as the transports hand them over."""

import time
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from serving.errors import InvalidInputError, explain
from serving.logs import Log
from serving.manifest import Manifest, encode
from serving.metrics import Metrics
from serving.plane import Question
from serving.settings import Settings
from serving.spool import WHOLE, Kind, Record, Spool


class Capture:
    """The spools of one worker; `predictions` and `outcomes` are None where they are not wanted."""

    def __init__(self, settings: Settings, manifest: Manifest, log: Log, metrics: Metrics) -> None:
        def spool(name: str) -> Spool:
            return Spool(
                settings.spool_dir,
                name,
                encode(manifest),
                log,
                metrics,
                flush_seconds=settings.capture_flush_seconds,
                segment_seconds=settings.capture_segment_seconds,
                max_bytes=settings.spool_max_bytes,
            )

        self.predictions = spool("capture") if settings.capture_uri is not None else None
        self.outcomes = spool("outcomes") if settings.outcomes_uri is not None else None

    def prediction(
        self,
        kind: Kind,
        question: Question,
        request: bytes,
        request_json: int | None,
        response: bytes,
        response_json: int | None,
    ) -> None:
        """Keep an answered request; lengths of the JSON where tensors follow it."""
        if self.predictions is None:
            return
        latency = int(1e6 * (time.perf_counter() - question.started))
        asked = WHOLE if request_json is None else request_json
        answered = WHOLE if response_json is None else response_json
        self.predictions.add(Record(kind, time.time_ns() // 1000, latency, request, asked, response, answered))

    def close(self) -> None:
        """Write what is pending."""
        for spool in (self.predictions, self.outcomes):
            if spool is not None:
                spool.close()


class _Outcome(Struct, forbid_unknown_fields=True, omit_defaults=True):
    prediction_id: Annotated[str, Meta(min_length=1, max_length=128)]
    label: str | int | bool | None = None
    value: float | None = None


class _Outcomes(Struct, forbid_unknown_fields=True):
    outcomes: Annotated[list[_Outcome], Meta(min_length=1)]


_one = msgspec.json.Decoder(_Outcome)
_many = msgspec.json.Decoder(_Outcomes)


def read_outcomes(body: bytes, max_rows: int) -> tuple[int, Record]:
    """The number of outcomes in a body, one object or `{"outcomes": [...]}`, and the record to keep.

    Raises:
        InvalidInputError: naming the field.
    """
    try:
        given = _many.decode(body).outcomes if b'"outcomes"' in body else [_one.decode(body)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError(explain(error)) from None
    if len(given) > max_rows:
        raise InvalidInputError(f"outcomes: at most {max_rows} in one request, got {len(given)}")
    for index, outcome in enumerate(given):
        if outcome.label is None and outcome.value is None:
            raise InvalidInputError(f"outcomes[{index}]: expected a label, a value, or both")
        if isinstance(outcome.label, bool):
            outcome.label = str(outcome.label).lower()
        elif isinstance(outcome.label, int):
            outcome.label = str(outcome.label)
    return len(given), Record(Kind.OUTCOME, time.time_ns() // 1000, 0, msgspec.json.encode(given), WHOLE, b"", WHOLE)
