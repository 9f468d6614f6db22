"""Kinds of values: each knows what is valid, and the sentence that answers what is not ("must be …")."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

EXPECTED = "expected"
"""Error type whose message completes "must be …"."""
SENSITIVE = "sensitive"
"""The same, for a value that may be a secret and is never shown."""


class Section(BaseModel):
    """A part of the config: unchangeable, without unknown keys, its attributes' docstrings being their reference."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


@dataclass(frozen=True)
class Says:
    """Describes an alias whose validator has its own sentences."""

    sentence: str


class Kind(ABC):
    """An annotation that replaces pydantic's own errors by one sentence."""

    error_type = EXPECTED

    @property
    @abstractmethod
    def sentence(self) -> str:
        """Completes "must be …"."""

    @abstractmethod
    def schema(self) -> CoreSchema:
        """What is valid."""

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(
            self.schema(), custom_error_type=self.error_type, custom_error_message=self.sentence
        )


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number from `low` to `high`; text and true/false are not taken for one."""

    low: int
    high: int
    of: str = ""

    @property
    def sentence(self) -> str:
        """As `Kind.sentence`."""
        return f"a whole number{f' of {self.of}' if self.of else ''} from {plain(self.low)} to {plain(self.high)}"

    def schema(self) -> CoreSchema:
        """As `Kind.schema`."""
        return core_schema.int_schema(ge=self.low, le=self.high, strict=True)


@dataclass(frozen=True)
class Number(Kind):
    """A number above `above` and up to `high`."""

    above: float
    high: float
    of: str = ""

    @property
    def sentence(self) -> str:
        """As `Kind.sentence`."""
        return f"a number{f' of {self.of}' if self.of else ''} above {plain(self.above)} and up to {plain(self.high)}"

    def schema(self) -> CoreSchema:
        """As `Kind.schema`."""
        return core_schema.float_schema(gt=self.above, le=self.high, strict=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Between(Kind):
    """A number from `low` to `high`, both included."""

    low: float
    high: float

    @property
    def sentence(self) -> str:
        """As `Kind.sentence`."""
        return f"a number from {plain(self.low)} to {plain(self.high)}"

    def schema(self) -> CoreSchema:
        """As `Kind.schema`."""
        return core_schema.float_schema(ge=self.low, le=self.high, strict=True, allow_inf_nan=False)


@dataclass(frozen=True)
class OneOf(Kind):
    """One of a few whole numbers."""

    choices: tuple[int, ...]

    @property
    def sentence(self) -> str:
        """As `Kind.sentence`."""
        return f"one of {', '.join(map(str, self.choices))}"

    def schema(self) -> CoreSchema:
        """As `Kind.schema`."""
        return core_schema.literal_schema(list(self.choices))


@dataclass(frozen=True)
class Text(Kind):
    """A text of the given pattern and length; `says` is its sentence."""

    pattern: str
    says: str
    longest: int | None = None
    """Most characters, where the pattern does not say."""

    @property
    def sentence(self) -> str:
        """As `Kind.sentence`."""
        return self.says

    def schema(self) -> CoreSchema:
        """As `Kind.schema`."""
        return core_schema.str_schema(pattern=f"^(?:{self.pattern})$", max_length=self.longest, strict=True)


class SensitiveText(Text):
    """A text in whose place someone may put a secret: what is wrong is never shown."""

    error_type = SENSITIVE


def expected(sentence: str) -> PydanticCustomError:
    """The error of a value that is not what `sentence` says ("a network such as 10.0.0.0/16")."""
    return PydanticCustomError(EXPECTED, "{sentence}", {"sentence": sentence})


def sentence_of(metadata: Iterable[Any]) -> str:
    """What a value of an annotation with this metadata must be; empty for pydantic's own kinds."""
    return next((item.sentence for item in metadata if isinstance(item, Kind | Says)), "")


def plain(number: float) -> str:
    """A number without exponents, millions in groups of three."""
    return f"{number:,.0f}" if number >= 1_000_000 else f"{number:g}"
