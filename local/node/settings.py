"""What the node is started with."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SERVING: Mapping[str, tuple[str, ...]] = {"serving": (sys.executable, "-m", "serving")}
"""Last part of an image's repository: the command that stands for the image on this machine."""


@dataclass(frozen=True)
class NodeSettings:
    """Folders, images and times of a node."""

    folder: Path
    """Objects and pod folders; made when absent."""
    logs: Path
    """Container logs."""
    images: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(SERVING))
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables that every container gets, whatever its spec says: the emulated AWS."""
    backoff_initial: float = 0.5
    """Seconds before the first restart of a container that ended; each further wait is twice as long."""
    backoff_max: float = 60.0
    backoff_reset: float = 60.0
    """A container that ran this many seconds starts again at the first back-off."""
    settle: float = 0.25
    """Seconds between leaving every Service and SIGTERM, for connections that were just being made."""
