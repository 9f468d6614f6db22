"""The Pulumi program of every environment: its config, its platform, its outputs."""

import gc
import sys
from pathlib import Path

# The SDKs' types are hundreds of thousands of objects that stay; looking for garbage among them again and again takes a
# quarter of a run's time.
gc.set_threshold(200_000)

# Run as a folder, the program finds its own platform.py where any library asks for the standard library's module of
# that name. So its folder leaves the path, and the checkout comes in.
_here = Path(__file__).resolve().parent
sys.path[:] = [str(_here.parent), *(entry for entry in sys.path if Path(entry).resolve() != _here)]

import pulumi  # noqa: E402 - with the path in order

from stacks.config.loader import from_pulumi  # noqa: E402
from stacks.config.mistakes import ConfigError  # noqa: E402
from stacks.platform import build  # noqa: E402

try:
    config = from_pulumi()
except ConfigError as error:
    raise pulumi.RunError(str(error)) from None

for name, value in build(config).items():
    pulumi.export(name, value)
