"""LightGBM, imported without the two large libraries that it only looks for.

Its scikit-learn and pandas interfaces are optional and not used here, but where both are installed (the converter and
the data package bring them) `import lightgbm` loads all of both, which takes longer than the training.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def _hidden(*names: str) -> Generator[None]:
    """Modules that are not loaded yet cannot be found inside (`None` in sys.modules, as the import system defines)."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # pyright: ignore[reportArgumentType, reportCallIssue] - typed without None
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with _hidden("sklearn", "pandas"):
    import lightgbm

__all__ = ["lightgbm"]
