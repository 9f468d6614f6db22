"""LightGBM, and Arrow, without the two large libraries that they only look for.

scikit-learn and pandas are optional for both and not used here, but where they are installed (the converter and the
data package bring them) `import lightgbm` and Arrow's first conversion load them: longer than the training takes.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder

import pyarrow as pa


@contextmanager
def _hidden(*names: str) -> Generator[None]:
    """Inside, these modules are not found, as if they were not installed; one that is loaded already stays."""

    class Refusal(MetaPathFinder):
        def find_spec(self, fullname: str, path: object, target: object = None) -> None:  # noqa: ARG002 - the protocol
            if fullname in names:
                raise ModuleNotFoundError(f"hidden: {fullname}", name=fullname)

    refusal = Refusal()
    sys.meta_path.insert(0, refusal)
    try:
        yield
    finally:
        sys.meta_path.remove(refusal)


with _hidden("sklearn", "pandas"):
    import lightgbm

    pa.array([0])  # pyarrow looks for pandas once, when it first converts something

__all__ = ["lightgbm"]
