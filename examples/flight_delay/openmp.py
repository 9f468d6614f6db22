"""The OpenMP library that LightGBM takes from the system, which a slim machine or container does not have.

scikit-learn (the converter brings it) carries one. It will do under the name that LightGBM looks for, in a folder that
the loader knows when the process starts: so the command is run again with such a folder.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from release.errors import SlipwayError

LIBRARY = "libgomp.so.1"
_TRIED = "FLIGHT_DELAY_OPENMP"


class MissingError(Exception):
    """The system has no such library, and there is one to run again with."""

    def __init__(self, carried: Path) -> None:
        super().__init__(LIBRARY)
        self.carried = carried


@contextmanager
def required() -> Generator[None]:
    """Import LightGBM inside.

    Raises:
        MissingError: worth another try, with `run_again`.
        SlipwayError: the library cannot be had; names the command that installs it.
    """
    try:
        yield
    except OSError as error:
        if "gomp" not in str(error) and "libomp" not in str(error):
            raise
        carried = _carried()
        if carried and _TRIED not in os.environ:
            raise MissingError(carried) from None
        raise SlipwayError(
            "library-missing",
            f"LightGBM cannot be loaded: {error}",
            "install OpenMP: apt-get install libgomp1, dnf install libgomp, or brew install libomp",
        ) from None


def run_again(arguments: Sequence[str], missing: MissingError) -> int:
    """Run this Python with these arguments where the loader finds the library; its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / LIBRARY).symlink_to(missing.carried)
        paths = [folder, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        environment = os.environ | {"LD_LIBRARY_PATH": os.pathsep.join(paths), _TRIED: "1"}
        return subprocess.run([sys.executable, *arguments], env=environment, check=False).returncode


def _carried() -> Path | None:
    try:
        files = metadata.files("scikit-learn") or []
    except metadata.PackageNotFoundError:
        return None
    found = [Path(str(file.locate())) for file in files if file.name.startswith("libgomp")]
    return next((path for path in found if path.is_file()), None)
