"""From a message's bytes to a checked question: rows by name, one row alone, or a v2 infer request, all in JSON."""

from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from serving import v2
from serving.errors import InvalidInputError, explain
from serving.keyed_rows import KeyedRows
from serving.plane import Question
from serving.signature import Signature


class _Envelope(Struct):
    rows: Raw | UnsetType = UNSET
    inputs: Raw | UnsetType = UNSET


_envelope = msgspec.json.Decoder(_Envelope)


class Given(NamedTuple):
    """Rows of a message that may name entities, whose features are still to be looked up."""

    rows: list[dict[str, Any]]
    message: str


def decode(
    model: Signature, body: bytes, message: str, max_rows: int, keyed: KeyedRows | None = None
) -> Question | Given:
    """The question in a message, whose id becomes the question's; with `keyed`, of rows what they give.

    A list called `rows` or `inputs` tells the forms apart: no feature's value is a list.

    Raises:
        InvalidInputError: naming the field.
        TooLargeError: more rows than one message may have.
    """
    try:
        envelope = _envelope.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError(explain(error)) from None
    if _is_list(envelope.inputs):
        question = v2.read(model, body, None, max_rows)
        question.id, question.deadline = message, float("inf")
        return question
    if keyed is not None:
        return Given(keyed.decode(body) if _is_list(envelope.rows) else [keyed.decode_one(body)], message)
    rows = model.rows.decode(body) if _is_list(envelope.rows) else [model.rows.decode_one(body)]
    return Question(model, len(rows), rows=rows, id=message)


def _is_list(value: Raw | UnsetType) -> bool:
    return not isinstance(value, UnsetType) and bytes(value)[:1] == b"["
