"""Why the engine failed, in the words of whoever failed first, without the engine's own noise around them."""

import re

from release.events import Diagnostic, Story, urn_name, urn_type

_COLOR = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")
_URN = re.compile(r"urn:pulumi:[^\s:]+::[^\s:]+::\S+?::([^\s:'\"`,;]+(?:[.-][^\s:'\"`,;]+)*)")
_NOISE = re.compile(
    r"^(update failed|preview failed|refresh failed|destroy failed|resource creation failed|\d+ errors? occurred:?"
    r"|program (exited|failed).*|running program .*|an unhandled error occurred: program exited.*|cancell?ed|error:)$",
    re.IGNORECASE,
)
_DOING = re.compile(
    r"^(?:error: )?(?:creating|updating|deleting|reading|replacing|refreshing) \S+:\s*(?:\d+ errors? occurred:)?\s*"
)
"""How a provider's message begins: with what it was doing to which resource, which is said before it anyway."""
_TRACEBACK = "Traceback (most recent call last)"
_TRACEBACK_REST = re.compile(r"^(\s|\S*Traceback \(|During handling of|The above exception)")


def causes(story: Story) -> list[str]:
    """What went wrong, one entry a cause, first things first. Empty when the engine gave no reason in its events."""
    found: list[str] = []
    provider = [said for said in story.errors() if said.urn and urn_type(said.urn) != "pulumi:pulumi:Stack"]
    program = [said for said in story.diagnostics if said not in provider and said.severity in {"error", "info#err"}]
    for said in provider:
        found += _from_provider(said)
    if not found:
        found = _from_program(program)
    return list(dict.fromkeys(found))


def readable(text: str) -> str:
    """A message without colour marks, and with URNs shortened to the resource's name."""
    return _URN.sub(r"\1", _COLOR.sub("", text)).strip()


def _from_provider(said: Diagnostic) -> list[str]:
    text = _DOING.sub("", readable(said.message))
    lines = [line.strip().removeprefix("* ").removeprefix("error: ").strip() for line in text.splitlines()]
    telling = [line for line in lines if line and not _NOISE.match(line)]
    where = f"{urn_type(said.urn).rsplit(':', 1)[-1]} {urn_name(said.urn)}"
    if not telling:
        return []
    reason = "\n".join(telling)
    return [reason if reason.startswith(where) else f"{where}: {reason}"]


def _from_program(said: list[Diagnostic]) -> list[str]:
    text = "".join(entry.message if entry.message.endswith("\n") else f"{entry.message}\n" for entry in said)
    lines = [line.rstrip() for line in readable(text).splitlines()]
    if any(_TRACEBACK in line for line in lines):
        # Everything above the last exception is the engine's or ours to read in the log.
        after = max(number for number, line in enumerate(lines) if _TRACEBACK in line)
        lines = [line for line in lines[after + 1 :] if not _TRACEBACK_REST.match(line)]
    telling = [line.removeprefix("error: ") for line in lines if line.strip() and not _NOISE.match(line.strip())]
    return ["\n".join(telling)] if telling else []
