"""Stands in for the Pulumi CLI: `python fake_pulumi.py WORLD.json up --stack … --event-log …`.

WORLD.json says how it behaves (`fails`, `hangs`: the versions on which it does), and is where it notes what it did:
each call in `calls`, and in `running` the version that the records ask for, as if a real engine had rolled it out.
"""

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any


def main() -> int:
    """One call of the CLI."""
    file, words = Path(sys.argv[1]), sys.argv[2:]
    world = json.loads(file.read_text())
    world["calls"].append(f"{words[0]} --refresh" if "--refresh" in words else words[0])
    write(file, world)
    if words[0] not in {"up", "refresh", "destroy", "preview"}:
        return 0
    events = Path(words[words.index("--event-log") + 1])
    records = json.loads((file.parent / "releases.json").read_text())["services"]
    current = records["flight-delay"]
    if current.get("version") in world["hangs"]:
        signal.signal(signal.SIGINT, lambda *_: sys.exit(255))
        say(events, resourcePreEvent={"metadata": {"op": "update", "urn": URN, "old": {}, "new": {}}})
        file.write_text(json.dumps(world | {"rolling": current["version"]}))
        time.sleep(60)
    if current.get("version") in world["fails"]:
        say(
            events,
            diagnosticEvent={
                "severity": "error",
                "urn": URN,
                "message": "creating urn:x: 1 error occurred:\n\t* no quota\n",
            },
        )
        return 255
    world |= {"running": current.get("version"), "rolling": None}
    write(file, world)
    say(events, summaryEvent={"resourceChanges": {"update": 1}})
    return 0


def write(file: Path, world: Any) -> None:
    """Notes it in one step: a test may be reading."""
    whole = file.with_suffix(".new")
    whole.write_text(json.dumps(world))
    whole.replace(file)


URN = "urn:pulumi:local::slipway::slipway:index:DataStore$aws:s3/bucket:Bucket::data-models"


def say(events: Path, **event: Any) -> None:
    """Add an event to the log."""
    with events.open("a") as log:
        log.write(json.dumps(event) + "\n")


if __name__ == "__main__":
    sys.exit(main())
