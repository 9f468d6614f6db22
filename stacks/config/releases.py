"""Which version each service of `local` runs: kept beside the state, so that trying a release leaves the tree clean."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from stacks.config.mistakes import ConfigError

LAYOUT = 1
RELEASES = Path(".slipway", "local", "releases.json")
"""The file that `slipway release` writes for `local`, in the checkout."""


def read_releases(root: Path) -> dict[str, Mapping[str, Any]]:
    """Service → `{"name", "version", "digest"}` of what was released; empty before the first release.

    Raises:
        ConfigError: the file cannot be read, or is of another layout.
    """
    mend = [f"remove {RELEASES}; `slipway release` writes it again"]
    try:
        content: Any = json.loads((root / RELEASES).read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{RELEASES} cannot be read: {error.strerror}", mend) from None
    except ValueError:
        raise ConfigError(f"{RELEASES} is not valid JSON", mend) from None
    layout = cast("dict[str, Any]", content).get("layout") if isinstance(content, dict) else None
    if layout != LAYOUT:
        raise ConfigError(f"{RELEASES} has layout {layout}, this version reads layout {LAYOUT}", mend)
    services: Any = cast("dict[str, Any]", content).get("services")
    if not isinstance(services, dict) or not all(
        isinstance(e, dict) for e in cast("dict[str, Any]", services).values()
    ):
        raise ConfigError(f"{RELEASES} has no services in it", mend)
    return cast("dict[str, Mapping[str, Any]]", services)


def overlaid(tree: Mapping[str, Any], releases: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """`tree` with the released versions of the services that it has; of another model than it names, none."""
    services: Any = tree.get("services")
    if not isinstance(services, dict):
        return dict(tree)
    result: dict[str, Any] = {}
    for name, service in cast("dict[str, Any]", services).items():
        result[name] = service
        released = releases.get(name)
        if not released or not released.get("version") or not isinstance(service, dict):
            continue
        entry = cast("dict[str, Any]", service)
        model: Any = entry.get("model", {})
        if isinstance(model, dict) and cast("dict[str, Any]", model).get("name", name) == released.get("name", name):
            result[name] = {
                **entry,
                "model": {**model, "version": released["version"], "digest": released.get("digest")},
            }
    return {**tree, "services": result}
