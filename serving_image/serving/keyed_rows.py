"""Rows that name an entity in place of features, and the rows that they become once its features are looked up.

A row may carry the key column of any of the service's feature groups. A feature that the row gives (not null) stands;
one that it does not is taken from the first group, in the order of the setting, whose key the row names and which has a
value. What is then still missing is missing by the manifest's rule.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from serving.errors import InvalidInputError, ServingError, UnavailableError
from serving.logs import Log
from serving.lookup import Entity, FeatureTable, Found, Item, Lookup, feature_tables, is_current
from serving.metrics import Metrics
from serving.rows import Row, RowReader, value_type
from serving.settings import Settings, SettingsError, variable
from serving.signature import Signature

_MOST_KEY_BYTES = 2048
"""DynamoDB's limit; it would refuse the whole call, with the keys of others."""
_BIGINT = 2**63
Completed = list[Row] | ServingError


def open_keyed_rows(model: Signature, settings: Settings, log: Log, metrics: Metrics) -> "KeyedRows | None":
    """The reader of rows that name entities; None where the service has no feature groups.

    Raises:
        SettingsError: the setting is wrong, or does not fit the model.
    """
    tables = feature_tables(settings)
    if not tables:
        return None
    _columns(model, tables)  # a wrong setting is told before AWS is needed
    return KeyedRows(model, tables, Lookup(tables, settings, log, metrics), settings.max_rows)


class KeyedRows:
    """Reads rows of `model` that may name entities of `tables`, and completes them."""

    def __init__(self, model: Signature, tables: Mapping[str, FeatureTable], lookup: Lookup, max_rows: int) -> None:
        self._model, self._tables, self._lookup = model, tables, lookup
        self.features = [feature.name for feature in model.manifest.features]
        kinds = _columns(model, tables)
        self._names = list(kinds)
        self._reader = RowReader({name: (kind | None | UnsetType, UNSET) for name, kind in kinds.items()}, max_rows)

    @property
    def keys(self) -> Mapping[str, str]:
        """Key column -> its type, of columns that are no features of the model."""
        return {t.key: t.key_type for t in self._tables.values() if t.key not in self.features}

    def decode(self, body: bytes) -> list[dict[str, Any]]:
        """What the rows of a `/predict` body give, nulls left out.

        Raises:
            InvalidInputError: naming the row and the feature, or the key that cannot be one.
            TooLargeError: more rows than one request may have.
        """
        return [self._given(row) for row in self._reader.decode(body)]

    def decode_one(self, body: bytes) -> dict[str, Any]:
        """What one row, `{feature: value}`, gives; as in `decode`."""
        return self._given(self._reader.decode_one(body))

    def complete(self, given: Sequence[dict[str, Any]]) -> "Completed | Future[Completed]":
        """The model's rows, or why there are none; a future of that where a table has to be asked.

        Raises:
            OverloadedError: as many requests wait for features as may.
        """
        wanted = self._wanted(given)
        known = self._lookup.remembered(wanted)
        missing = wanted - known.keys()
        if not missing:
            return self._rows(given, known)
        completed: Future[Completed] = Future()
        asked = self._lookup.fetch(missing)
        asked.add_done_callback(lambda ended: completed.set_result(self._joined(given, known, ended)))
        return completed

    def wait(self, messages: Sequence[Sequence[dict[str, Any]]]) -> list[Completed]:
        """The model's rows of many messages, each as `decode` gives it, all looked up together; for workers.

        Raises:
            UnavailableError: the feature tables do not answer; nothing is known of any message.
        """
        wanted = frozenset[Entity]().union(*map(self._wanted, messages))
        known = self._lookup.remembered(wanted)
        if missing := wanted - known.keys():
            known |= self._lookup.fetch(missing).result()
        return [self._rows(given, known) for given in messages]

    def close(self) -> None:
        """Let the threads go, once nothing is asked any more."""
        self._lookup.close()

    def _wanted(self, given: Sequence[dict[str, Any]]) -> frozenset[Entity]:
        return frozenset(entity for row in given for entity in self._entities(row))

    def _given(self, row: Row) -> dict[str, Any]:
        values = msgspec.structs.astuple(row)
        given = {n: v for n, v in zip(self._names, values, strict=True) if v is not None and v is not UNSET}
        for table in self._tables.values():
            if table.key in given:
                _as_text(table, given[table.key])
        return given

    def _entities(self, row: Mapping[str, Any]) -> list[Entity]:
        """Whom a row asks about; nobody when it gives every feature itself."""
        if all(name in row for name in self.features):
            return []
        return [
            Entity(group, _as_text(table, row[table.key])) for group, table in self._tables.items() if table.key in row
        ]

    def _joined(
        self, given: Sequence[dict[str, Any]], known: dict[Entity, Item | None], ended: "Future[Found]"
    ) -> Completed:
        error = ended.exception()
        if error is not None:
            return error if isinstance(error, ServingError) else UnavailableError("the feature tables do not answer")
        return self._rows(given, {**known, **ended.result()})

    def _rows(self, given: Sequence[dict[str, Any]], known: Found) -> Completed:
        rows: list[Row] = []
        for index, row in enumerate(given):
            try:
                rows.append(self._model.rows.convert(self._filled(row, known)))
            except InvalidInputError as error:
                return self._explained(index, row, str(error))
        return rows

    def _filled(self, row: dict[str, Any], known: Found) -> dict[str, Any]:
        filled = {name: row[name] for name in self.features if name in row}
        for entity in self._entities(row):
            item = known[entity]
            if item is not None and is_current(item):
                filled |= {n: item[n] for n in self.features if n not in filled and n in item}
        return filled

    def _explained(self, index: int, row: Mapping[str, Any], why: str) -> ServingError:
        """What the row gave was checked when it was read, so what does not fit came from a table."""
        groups = [entity.group for entity in self._entities(row)]
        keys = [(group, self._tables[group].key) for group in groups]
        asked = ", ".join(f"{group} of {key} {row[key]!r}" for group, key in keys)
        if why.endswith(": missing"):
            return InvalidInputError(f"rows[{index}].{why}" + (f", and so it is in {asked}" if asked else ""))
        return UnavailableError(f"rows[{index}]: a feature table has a value that does not fit the model: {why}")


def _columns(model: Signature, tables: Mapping[str, FeatureTable]) -> dict[str, Any]:
    """What a row may give, with the type of each: the model's features, and the keys of the groups."""
    kinds = {feature.name: value_type(model.inputs[feature.input].datatype) for feature in model.manifest.features}
    for group, table in tables.items():
        own = str if table.key_type == "string" else int
        if (kinds.get(table.key, own) is str) != (own is str):
            raise SettingsError(
                f"{variable('feature_tables')}: {group}: the key {table.key} is a {table.key_type}, and the model has "
                "a feature of that name and another type"
            )
        kinds.setdefault(table.key, own)
    return kinds


def _as_text(table: FeatureTable, key: Any) -> str:
    if isinstance(key, str):
        if 0 < len(key.encode()) <= _MOST_KEY_BYTES:
            return key
        raise InvalidInputError(f"{table.key}: expected a key of 1 to {_MOST_KEY_BYTES} bytes")
    if key == int(key) and -_BIGINT <= key < _BIGINT:
        return str(int(key))
    raise InvalidInputError(f"{table.key}: expected a whole number of 64 bits, which is the key")
