"""Find the command, run it, and end in one clear line whatever happens."""

import os
import sys
from types import TracebackType
from typing import Any, NoReturn

from release.cli.table import COMMANDS, overview
from release.errors import SlipwayError

INTERRUPTED = 130


class Terminated(BaseException):
    """Somebody sent SIGTERM: end in good order, as for Ctrl-C."""


def main() -> NoReturn:
    """Entry point of the `slipway` script."""
    # Container images like to set this, and it goes on to every process started here: each then compiles anew what it
    # imports, five seconds of SDK for the engine's program alone.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    words = sys.argv[1:]
    try:
        code = run(words)
        sys.stdout.flush()
    except SlipwayError as error:
        code = _report(error, words)
    except KeyboardInterrupt:
        code = _report(SlipwayError("interrupted", "interrupted", _again(words), exit_code=INTERRUPTED), words)
    except Terminated:
        code = _report(SlipwayError("terminated", "stopped by SIGTERM", _again(words), exit_code=143), words)
    except BrokenPipeError:
        _discard_stdout()
        code = 0  # the reader has seen enough, as with `slipway logs | head`
    except OSError as error:
        code = _report(_from_os_error(error), words)
    except Exception:  # noqa: BLE001 - the last resort: a defect of ours becomes one line and a log file
        code = _report(_from_defect(sys.exc_info()), words)
    sys.exit(code)


def run(words: list[str]) -> int:
    """Run one command line; its exit code."""
    if not words or words[0] in {"-h", "--help", "help"}:
        print(overview())
        return 0
    if words[0] == "--version":
        from importlib.metadata import version

        print(f"slipway {version('slipway')}")
        return 0
    if words[:2] == ["completion", "--words"]:
        from release.cli.complete import candidates

        print("\n".join(candidates(words[2:])))
        return 0
    return _run_command(words)


def _run_command(words: list[str]) -> int:
    import signal
    from importlib import import_module

    name = words[0]
    if name not in COMMANDS:
        raise _unknown_command(name)
    signal.signal(signal.SIGTERM, _terminate)
    from typer.exceptions import TyperException
    from typer.main import get_command

    application = import_module(COMMANDS[name].module).app
    try:
        outcome: Any = get_command(application)(words[1:], prog_name=f"slipway {name}", standalone_mode=False)
    except TyperException as error:
        message = _usage_message(error)
        raise SlipwayError("usage", message, f"see: slipway {name} --help", exit_code=2) from error
    if outcome == INTERRUPTED:
        raise KeyboardInterrupt  # typer has turned it into an exit code
    return outcome if isinstance(outcome, int) else 0


def _usage_message(error: Exception) -> str:
    formatted = getattr(error, "format_message", None)
    text = str(formatted() if formatted else error).strip().rstrip(".")
    return text[:1].lower() + text[1:]


def _terminate(_number: int, _frame: object) -> NoReturn:
    raise Terminated


def _unknown_command(name: str) -> SlipwayError:
    from difflib import get_close_matches

    near = get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean: slipway {near[0]}" if near else "see: slipway --help"
    return SlipwayError("usage", f"there is no command {name!r}", hint, exit_code=2)


_CHANGES_SOMETHING = frozenset({"up", "down", "release", "rollback", "register", "approve", "reject", "features"})


def _again(words: list[str]) -> str:
    import shlex

    if not words or words[0] not in _CHANGES_SOMETHING:
        return ""
    return f"nothing to clean up; to finish, run it again: {shlex.join(['slipway', *words])}"


def _report(error: SlipwayError, words: list[str]) -> int:
    """Say what went wrong: once, last, cause first."""
    from release.cli.screen import plain

    if "--json" in words:
        import json

        print(json.dumps(error.as_json()), flush=True)
    else:
        print(plain(f"error: {error.message}"), file=sys.stderr)
        if error.hint:
            print(plain(f"  → {error.hint}"), file=sys.stderr)
        if error.log:
            print(plain(f"  log: {error.log}"), file=sys.stderr)
    return error.exit_code


def _from_os_error(error: OSError) -> SlipwayError:
    import errno

    where = f" {error.filename}" if error.filename else ""
    reason = (error.strerror or str(error)).lower()
    hints = {
        errno.ENOSPC: "free some space on that disk, then run it again",
        errno.EROFS: "Slipway writes below .slipway in the checkout: put the checkout on a disk that can be written",
        errno.EACCES: "Slipway writes below .slipway in the checkout: make it yours (chown, chmod u+rwX)",
        errno.ECONNREFUSED: "is it running? run: slipway status",
    }
    return SlipwayError(
        "system", f"the system refused{where}: {reason}", hints.get(error.errno or 0, "run: slipway doctor")
    )


def _from_defect(
    info: tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None],
) -> SlipwayError:
    import tempfile
    import time
    import traceback
    from pathlib import Path

    from release.environment import find_root

    name = time.strftime("defect-%Y%m%d-%H%M%S.log")
    try:
        folder = find_root() / ".slipway" / "log"
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / name
        log.touch()
    except (OSError, SlipwayError):
        log = Path(tempfile.gettempdir()) / f"slipway-{name}"
    log.write_text("".join(traceback.format_exception(info[1])), encoding="utf-8")
    kind = info[0].__name__ if info[0] else "error"
    summary = str(info[1]).strip().splitlines()
    return SlipwayError(
        "defect",
        f"this is a defect of Slipway: {kind}{': ' + summary[0] if summary else ''}",
        "please report it with the log",
        log=log,
        exit_code=70,
    )


def _discard_stdout() -> None:
    """Keep the interpreter from complaining at exit about a pipe that nobody reads any more."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
