"""Online lookup of features: entities' items from DynamoDB, many keys in one call, remembered for a while.

Callers ask for any number of entities at once. What is not remembered goes into one BatchGetItem over all tables
(https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html, 100 keys at most); requests that
come while every thread waits for DynamoDB share the next call. botocore is imported only where tables are set.
"""

import random
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from serving.errors import OverloadedError, UnavailableError, explain
from serving.logs import Log
from serving.metrics import Metrics
from serving.settings import Settings, SettingsError, variable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

EXPIRY = "expires_at"
"""Attribute with the epoch second from which on an item counts as gone; DynamoDB itself takes days to delete it."""
_MOST_KEYS = 100
_THREADS = 4
_TRIES = 6
"""Calls for the keys that DynamoDB left unprocessed, with longer and longer pauses, before giving up."""
_FIRST_PAUSE_SECONDS = 0.02

Value = str | int | float | bool
Item = Mapping[str, Value]
"""A row of an online table: attribute -> value."""


class FeatureTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The online table of a feature group: its name, and the column that names the entity."""

    table: str
    key: str
    key_type: Literal["string", "bigint"]


class Entity(NamedTuple):
    """One entity of a feature group; `key` as DynamoDB writes it."""

    group: str
    key: str


Found = Mapping[Entity, Item | None]
"""What is known of each entity; None where the group has nothing."""


def feature_tables(settings: Settings) -> dict[str, FeatureTable]:
    """The feature groups that rows may name a key of; none unless set.

    Raises:
        SettingsError: the variable is not as it should be.
    """
    if settings.feature_tables is None:
        return {}
    try:
        return msgspec.json.decode(settings.feature_tables, type=dict[str, FeatureTable])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{variable('feature_tables')}: {explain(error)}") from None


class Lookup:
    """Looks entities up in `tables`; shared by all threads of a process."""

    def __init__(
        self,
        tables: Mapping[str, FeatureTable],
        settings: Settings,
        log: Log,
        metrics: Metrics,
        client: "DynamoDBClient | None" = None,
    ) -> None:
        self._tables, self._log = tables, log
        self._groups = {table.table: group for group, table in tables.items()}
        self._client = client or _client()
        self._cache = _Cache(settings.feature_cache_seconds, settings.feature_cache_entries)
        self._max_waiting = settings.max_queue
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="features")
        self._lock = threading.Lock()
        self._open: _Batch | None = None
        self._waiting = 0
        self._failing = ""
        counted = "slipway_feature_lookups_total", "Entities whose features were looked up."
        self._counts = {result: metrics.counter(*counted, {"result": result}) for result in ("cached", "found", "none")}
        self._errors = metrics.counter(
            "slipway_feature_errors_total", "Lookups that the feature tables did not answer."
        )

    def remembered(self, entities: Iterable[Entity]) -> dict[Entity, Item | None]:
        """Those of the entities that need no call."""
        with self._lock:
            found = self._cache.get(entities)
            self._counts["cached"].add(len(found))
            return found

    def fetch(self, entities: frozenset[Entity]) -> "Future[Found]":
        """Ask for entities; the future's error is an UnavailableError when the tables do not answer.

        Raises:
            OverloadedError: as many requests wait for features as may.
        """
        wanted: Future[Found] = Future()
        with self._lock:
            if self._waiting >= self._max_waiting:
                raise OverloadedError(f"{self._waiting} requests wait for features already; send it again later")
            self._waiting += 1
            batch = self._open
            if batch is None or len(batch.entities) + len(entities) > _MOST_KEYS:
                batch = self._open = _Batch()
                self._pool.submit(self._run, batch)
            batch.entities |= entities
            batch.wanted.append(wanted)
        return wanted

    def close(self) -> None:
        """Let the threads go, once nothing is asked any more."""
        self._pool.shutdown()

    def _run(self, batch: "_Batch") -> None:
        with self._lock:
            if self._open is batch:
                self._open = None
        found: dict[Entity, Item | None] = {}
        error: UnavailableError | None = None
        try:
            found = self._ask(batch.entities)
        except Exception as problem:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            error = self._failed(problem)
        with self._lock:
            self._waiting -= len(batch.wanted)
            if error is None:
                self._cache.put(found)
                self._failing = ""
                none = sum(item is None for item in found.values())
                self._counts["found"].add(len(found) - none)
                self._counts["none"].add(none)
        for wanted in batch.wanted:
            if error is None:
                wanted.set_result(found)
            else:
                wanted.set_exception(error)

    def _failed(self, problem: Exception) -> UnavailableError:
        with self._lock:
            self._errors.add()
            is_news = str(problem) != self._failing
            self._failing = str(problem)
        if is_news:
            self._log.error(f"features cannot be looked up: {problem}")
        return UnavailableError("the feature tables do not answer; try again later")

    def _ask(self, entities: set[Entity]) -> dict[Entity, Item | None]:
        found: dict[Entity, Item | None] = dict.fromkeys(entities)
        ordered = sorted(entities)
        for start in range(0, len(ordered), _MOST_KEYS):
            pending = self._request(ordered[start : start + _MOST_KEYS])
            for attempt in range(_TRIES):
                answer = self._client.batch_get_item(RequestItems=pending)
                for table, items in answer["Responses"].items():
                    group = self._groups[table]
                    for item in items:
                        found[self._entity(group, item)] = _plain(item)
                pending = answer.get("UnprocessedKeys") or {}
                if not pending:
                    break
                # Full jitter: all pods were told to slow down at the same moment.
                time.sleep(random.uniform(0, _FIRST_PAUSE_SECONDS * 2**attempt))  # noqa: S311 - no secret
            if pending:
                raise TimeoutError(f"DynamoDB left keys unprocessed {_TRIES} times: it is throttled")
        return found

    def _request(self, entities: list[Entity]) -> Any:
        request: dict[str, Any] = {}
        for group, key in entities:
            table = self._tables[group]
            kind = "S" if table.key_type == "string" else "N"
            request.setdefault(table.table, {"Keys": []})["Keys"].append({table.key: {kind: key}})
        return request

    def _entity(self, group: str, item: Mapping[str, Any]) -> Entity:
        (key,) = item[self._tables[group].key].values()
        return Entity(group, key)


class _Batch:
    """Entities of one call, and who waits for them."""

    def __init__(self) -> None:
        self.entities: set[Entity] = set()
        self.wanted: list[Future[Found]] = []


class _Cache:
    """What is known of entities, for so many seconds, of so many of them."""

    def __init__(self, seconds: float, entries: int) -> None:
        self._seconds, self._entries = seconds, entries
        self._known: OrderedDict[Entity, tuple[float, Item | None]] = OrderedDict()

    def get(self, entities: Iterable[Entity]) -> dict[Entity, Item | None]:
        now = time.monotonic()
        found: dict[Entity, Item | None] = {}
        for entity in entities:
            known = self._known.get(entity)
            if known is not None and now < known[0]:
                self._known.move_to_end(entity)
                found[entity] = known[1]
        return found

    def put(self, found: Found) -> None:
        if not self._seconds:
            return
        until = time.monotonic() + self._seconds
        for entity, item in found.items():
            self._known[entity] = until, item
            self._known.move_to_end(entity)
        while len(self._known) > self._entries:
            self._known.popitem(last=False)


def is_current(item: Item | None) -> bool:
    """Whether an item is there and has not expired."""
    if item is None:
        return False
    expires = item.get(EXPIRY)
    return not isinstance(expires, int | float) or time.time() < expires


def _plain(item: Mapping[str, Any]) -> dict[str, Value]:
    """DynamoDB's typed attributes as Python's values; those that no feature can be are left out."""
    plain: dict[str, Value] = {}
    for name, typed in item.items():
        ((kind, value),) = typed.items()
        if kind == "N":
            plain[name] = int(value) if value.lstrip("-").isdigit() else float(value)
        elif kind in {"S", "BOOL"}:
            plain[name] = value
    return plain


def _client() -> "DynamoDBClient":
    import botocore.session
    from botocore.config import Config

    retries: Any = {"mode": "standard", "total_max_attempts": 2}
    # A request waits for this: better to say soon that there is no answer than to let requests pile up.
    config = Config(connect_timeout=1, read_timeout=1, retries=retries, max_pool_connections=_THREADS)
    client: Any = botocore.session.get_session().create_client("dynamodb", config=config)
    return client
