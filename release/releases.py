"""Which version each service of an environment runs: the one record that the program reads and a release writes.

For `local` it is `.slipway/local/releases.json`, so that trying Slipway leaves the working tree clean. Elsewhere it is
the environment's config file, which people review: `model` of the service is what runs, `slipway:releases` what ran
before. Comments and layout of that file stay as they are.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from release.documents import part, read_object, write_json
from release.environment import Environment
from release.errors import SlipwayError

if TYPE_CHECKING:
    from ruamel.yaml import YAML

LAYOUT = 1


@dataclass(frozen=True)
class Release:
    """A version made live for a service."""

    name: str
    """The model."""
    version: str
    digest: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Record:
    """What is known of a service's releases."""

    current: Release | None = None
    previous: Release | None = None
    """What ran before `current`, verified."""
    at: str = ""
    note: str = ""
    """What became of the last release that did not stay, as `2 rolled back: golden answer differs`."""
    verified: bool = False
    """Whether `current` has answered its golden question since it was written here."""


def read_releases(environment: Environment) -> dict[str, Record]:
    """The records of an environment, by service."""
    if environment.is_local:
        path = environment.directory / "releases.json"
        content = read_object(path) or {"layout": LAYOUT, "services": {}}
        if content.get("layout") != LAYOUT:
            raise SlipwayError(
                "old-layout",
                f"{path} has another layout than the {LAYOUT} that this Slipway reads",
                "run: slipway down && slipway up",
            )
        return {name: _record(entry, entry) for name, entry in content["services"].items()}
    _, document = _load(environment)
    services = part(document, "config", "slipway:services")
    return {
        name: _record(part(services, name, "model"), part(document, "config", "slipway:releases", name))
        for name in services
    }


def write_release(environment: Environment, service: str, record: Record) -> None:
    """Record what a service runs, in one step."""
    if environment.is_local:
        records = read_releases(environment) | {service: record}
        entries = {name: _entry(kept) for name, kept in records.items()}
        write_json(environment.directory / "releases.json", {"layout": LAYOUT, "services": entries})
    else:
        _edit(environment, service, record)


def now() -> str:
    """This moment, as a record has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _record(model: dict[str, Any], rest: dict[str, Any]) -> Record:
    previous = rest.get("previous")
    complete = model.get("version") and model.get("digest")
    return Record(
        current=Release(str(model["name"]), str(model["version"]), str(model["digest"])) if complete else None,
        previous=Release(**{key: str(previous[key]) for key in ("name", "version", "digest")}) if previous else None,
        at=str(rest.get("at") or ""),
        note=str(rest.get("note") or ""),
        verified=bool(rest.get("verified")),
    )


def _entry(record: Record) -> dict[str, Any]:
    """A record as the program's loader reads it (docs/architecture.md)."""
    current = asdict(record.current) if record.current else {}
    return current | {
        "previous": asdict(record.previous) if record.previous else None,
        "at": record.at,
        "note": record.note,
        "verified": record.verified,
    }


def _load(environment: Environment) -> "tuple[YAML, Any]":
    from ruamel.yaml import YAML, YAMLError

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096  # a long line of the user's stays one line
    path = environment.config_file
    try:
        document: Any = yaml.load(path.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise SlipwayError("broken-config", f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from error
    if not part(document, "config"):
        raise SlipwayError("broken-config", f"{path.name} holds no config")
    return yaml, document


def _edit(environment: Environment, service: str, record: Record) -> None:
    import io

    yaml, document = _load(environment)
    config = document["config"]
    entry: Any = config.get("slipway:services", {}).get(service)
    if entry is None:
        raise SlipwayError("unknown-service", f"{environment.config_file.name} has no service {service!r}")
    model: Any = entry.setdefault("model", {})
    if record.current:
        model["name"], model["version"], model["digest"] = asdict(record.current).values()
    else:
        model.pop("version", None)
        model.pop("digest", None)
    notes = config.setdefault("slipway:releases", {})
    notes[service] = {
        key: value for key, value in _entry(record).items() if key in {"previous", "at", "note", "verified"}
    }
    text = io.StringIO()
    yaml.dump(document, text)
    path = environment.config_file
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text.getvalue(), encoding="utf-8")
    draft.replace(path)
