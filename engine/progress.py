"""Shows how far a long step is: a bar on a terminal, plain lines with a heartbeat elsewhere. All on stderr."""

import os
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

HEARTBEAT_SECONDS = 10.0
# Below this share, what has been done says too little about the time that is left.
ENOUGH_TO_ESTIMATE = 0.05


@dataclass
class Meter:
    """How far one step is. `step` may be called from another thread than `line`."""

    label: str
    """What is going on, such as `compiling`."""
    unit: str = ""
    """What is counted, such as `packages`."""
    total: int | None = None
    """How many there are; None where nothing is counted."""
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    _started: float = field(init=False)
    _done_before: int = field(init=False)

    def __post_init__(self) -> None:
        self._started = self.clock()
        self._done_before = self.done

    def step(self) -> None:
        """Counts one more."""
        self.done += 1

    @property
    def share(self) -> float | None:
        """What is done of the whole, 0 to 1; None where nothing is counted."""
        return min(self.done / self.total, 1.0) if self.total else None

    @property
    def elapsed(self) -> float:
        """Seconds since the step began."""
        return self.clock() - self._started

    @property
    def left(self) -> float | None:
        """Seconds that are left at the speed so far; None while there is too little to tell from, or all is counted."""
        if not self.total or self.done >= self.total:
            return None
        now, before = self.done / self.total, self._done_before / self.total
        if now - before < ENOUGH_TO_ESTIMATE:
            return None
        return self.elapsed * (1 - now) / (now - before)

    def line(self) -> str:
        """For example `compiling: 43% (812 of 1890 packages), 1 min 12 s so far, about 2 min left`."""
        parts = [f"{duration(self.elapsed)} so far"]
        if self.share is not None:
            parts.insert(0, f"{self.share:.0%} ({self.done} of {self.total} {self.unit})")
        if self.left is not None:
            parts.append(f"about {duration(self.left)} left")
        return f"{self.label}: {', '.join(parts)}"


def duration(seconds: float) -> str:
    """`42 s`, `3 min 5 s`, `1 h 2 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def say(text: str) -> None:
    """One plain line."""
    print(text, file=sys.stderr, flush=True)


def on_terminal() -> bool:
    """Whether a person watches: stderr is a terminal and this is no CI run."""
    return sys.stderr.isatty() and not os.environ.get("CI")


@contextmanager
def showing(meter: Meter, every: float = HEARTBEAT_SECONDS) -> Generator[None]:
    """Shows `meter` until the block ends: a live bar on a terminal, elsewhere a line every `every` seconds."""
    with _bar(meter) if on_terminal() else _heartbeat(meter, every):
        yield


@contextmanager
def _bar(meter: Meter) -> Generator[None]:
    """A bar that takes its place on the screen back when it ends. Colours follow NO_COLOR."""
    from rich.console import Console, Group, RenderableType
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    def picture() -> RenderableType:
        bar = ProgressBar(total=meter.total, completed=meter.done, width=40, pulse=meter.total is None)
        return Group(Text(meter.line()), bar)

    with Live(get_renderable=picture, console=Console(stderr=True), transient=True):
        yield


@contextmanager
def _heartbeat(meter: Meter, every: float) -> Generator[None]:
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(every):
            say(meter.line())

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
