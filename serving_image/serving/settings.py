"""`Settings`: the one list of the `SLIPWAY_*` variables that configure a pod."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from serving.errors import WORDS, words

PREFIX = "SLIPWAY_"

Port = Annotated[int, Meta(ge=0, le=65535)]
Digest = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$")]


S3Uri = Annotated[str, Meta(pattern=r"^s3://[a-z0-9][a-z0-9.-]+(/.*)?$")]


class SettingsError(ValueError):
    """The environment of this process is wrong. The message has one line for each mistake."""


class Settings(Struct, frozen=True, kw_only=True):
    """What a pod is told. Field `x` is the variable `SLIPWAY_X`; absent or empty means the default."""

    environment: str | None = None
    """The environment's name, for logs, metrics and capture."""
    service: str | None = None
    """The service's name, for logs, metrics and capture."""

    model_name: str | None = None
    """The model that must be served; a manifest with another name is refused."""
    model_version: str | None = None
    """The version that must be served; a manifest with another version is refused."""
    model_uri: str | None = None
    """Where `fetch` finds the package: `s3://bucket/key`, `file:///path` or a path."""
    model_digest: Digest | None = None
    """The package's digest."""
    model_dir: Path = Path("/var/slipway/model")
    """Where `fetch` unpacks (as `<digest hex>/`) and the server reads."""

    bind: str = "0.0.0.0"  # noqa: S104 - in a pod the network policy decides who gets here
    """Address to listen on."""
    rest_port: Port = 8080
    """Port of HTTP; 0 takes a free one."""
    grpc_port: Port = 8081
    """Port of gRPC; 0 takes a free one."""
    workers: Annotated[int, Meta(ge=1, le=256)] = 1
    """Processes that share the ports."""
    drain_seconds: Annotated[float, Meta(ge=0, le=3600)] = 20
    """After SIGTERM, how long what is open may take to finish, in seconds."""
    max_body_bytes: Annotated[int, Meta(ge=1024)] = 8 * 1024 * 1024
    """Largest request body, in bytes; a larger one is answered 413."""
    max_rows: Annotated[int, Meta(ge=1)] = 10_000
    """Most rows in one request; more are answered 413."""
    api_keys_file: Path | None = None
    """File with the API keys, one a line; unset: everyone may ask. Read again whenever it changes."""
    api_keys_secret: str | None = None
    """ARN of a Secrets Manager secret with the keys; it is copied into `api_keys_file`, again every minute."""
    feature_tables: str | None = None
    """Feature groups whose key a row may carry in place of features: JSON, group -> `{"table", "key", "key_type"}`."""
    feature_cache_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 10
    """How long features that were looked up answer again, in seconds; 0: they do not."""
    feature_cache_entries: Annotated[int, Meta(ge=1)] = 100_000
    """Most entities that are remembered in one worker; then the one that was asked for longest ago is forgotten."""
    capture_uri: S3Uri | None = None
    """Where predictions are captured: `s3://bucket/service/`; unset: they are not."""
    outcomes_uri: S3Uri | None = None
    """Where outcomes are kept: `s3://bucket/service/`; unset: `/outcomes` does not exist."""
    spool_dir: Path = Path("/var/slipway/spool")
    """Where they wait until they are there."""
    spool_max_bytes: Annotated[int, Meta(ge=1024 * 1024)] = 1024 * 1024 * 1024
    """Most bytes that may wait; then the oldest are dropped, and counted."""
    capture_flush_seconds: Annotated[float, Meta(gt=0, le=60)] = 1
    """How much a killed process may lose, in seconds."""
    capture_segment_seconds: Annotated[float, Meta(gt=0, le=3600)] = 60
    """How long records are gathered into one file, in seconds."""
    stream_source: Literal["sqs", "kinesis", "kafka"] | None = None
    """Where `stream` takes its messages from."""
    stream_dead_letters_url: str | None = None
    """URL of the SQS queue for messages that cannot be predicted, with the reason."""
    stream_attempts: Annotated[int, Meta(ge=1, le=1000)] = 5
    """How often a message is tried that fails for no fault of its own, before it goes there too."""
    stream_window_seconds: Annotated[float, Meta(ge=0, le=60)] = 1
    """How long messages are gathered into one file of the event store, in seconds."""
    stream_window_messages: Annotated[int, Meta(ge=1, le=10_000)] = 1000
    """How many messages are at most; twice as many are in hand at most."""
    stream_queue_url: str | None = None
    """SQS: URL of the queue."""
    stream_hidden_seconds: Annotated[int, Meta(ge=1, le=43_200)] = 120
    """SQS: how long a message that was taken is hidden from others, in seconds; prolonged while it is worked on."""
    stream_name: str | None = None
    """Kinesis: name of the stream."""
    stream_checkpoints: str | None = None
    """Kinesis: the DynamoDB table in which workers share its shards."""
    stream_lease_seconds: Annotated[float, Meta(ge=0.2, le=3600)] = 15
    """After how many seconds without a sign of life a worker's shards or partitions are taken over; Kafka's session."""
    stream_brokers: str | None = None
    """Kafka: bootstrap brokers, `host:port,…`."""
    stream_security: Literal["tls", "iam", "none"] = "tls"
    """Kafka: how to authenticate; `iam` is MSK's, `none` is plain text on loopback only."""
    stream_topic: str | None = None
    """Kafka: topic of the messages."""
    stream_group: str | None = None
    """Kafka: consumer group."""
    stream_output_topic: str | None = None
    """Kafka: topic for predictions, besides the event store; unset: none."""
    batch_input: str | None = None
    """Rows to score: `s3://bucket/prefix/` (or a folder), `{date}` in it being the day of the run."""
    batch_format: Literal["parquet", "csv", "jsonl"] = "parquet"
    """How they are written."""
    batch_output: str | None = None
    """`s3://` (or a folder) of the service's partitions of the table `predictions`."""
    batch_run: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,126}$")] | None = None
    """The run's identity: what has the same one is the same run, tried again."""
    batch_parts: Annotated[int, Meta(ge=1, le=10_000)] = 1
    """Workers that share the run; each is told its number in JOB_COMPLETION_INDEX."""
    batch_max_bad_rows_percent: Annotated[float, Meta(ge=0, le=100)] = 1
    """How many of 100 rows may be set aside before the run fails."""
    max_queue: Annotated[int, Meta(ge=1)] = 1024
    """Most requests that may wait for the model in one worker; one more is answered 429."""
    deadline_seconds: Annotated[float, Meta(gt=0, le=3600)] = 30
    """Longest time that a request may take from its arrival to its run, in seconds; later is answered 504."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the model runs."""
    threads: Annotated[int, Meta(ge=1, le=256)] = 1
    """Threads of one run of the model; more than 1 helps large models only."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe log line that is written."""


def keys_file(settings: Settings) -> Path | None:
    """Where the API keys are read from; None: everyone may ask. A secret without a file has one beside the spool."""
    if settings.api_keys_file is None and settings.api_keys_secret is not None:
        return settings.spool_dir / "api-keys"
    return settings.api_keys_file


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in `environ`, the process's own unless given.

    Raises:
        SettingsError: one line for each variable that is wrong, with what was expected.
    """
    source = os.environ if environ is None else environ
    found: dict[str, Any] = {}
    mistakes: list[str] = []
    hints = get_type_hints(Settings, include_extras=True)
    for field, kind in hints.items():
        raw = source.get(variable(field), "")
        if not raw:
            continue
        try:
            found[field] = msgspec.convert(raw, kind, strict=False, dec_hook=_from_text)
        except msgspec.ValidationError as error:
            mistakes.append(f"{variable(field)}: {_expected(kind, str(error))}, got {raw!r}")
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return Settings(**found)


def variable(field: str) -> str:
    """The environment variable of a field of `Settings`."""
    return PREFIX + field.upper()


def variables() -> list[str]:
    """Every variable that a pod reads, in order."""
    return [variable(field) for field in Settings.__struct_fields__]


def _from_text(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(kind)


def _expected(kind: Any, message: str) -> str:
    """A sentence for a person: msgspec words a wrong number of an unstrict conversion as a wrong string."""
    parts = (
        [part for part in get_args(kind) if part is not type(None)]
        if get_origin(kind) in {Union, UnionType}
        else [kind]
    )
    if parts[0] == Digest:
        return "expected sha256:<64 hex digits>"
    if parts[0] == S3Uri:
        return "expected s3://bucket/prefix/"
    bare = get_args(parts[0])[0] if get_origin(parts[0]) is Annotated else parts[0]
    if get_origin(bare) is Literal:
        return "expected one of " + ", ".join(get_args(bare))
    if "got `str`" in message:
        return f"expected {WORDS.get(getattr(bare, '__name__', ''), 'another value')}"
    return words(message.partition(" - at ")[0])
