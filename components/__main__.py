"""Slipway's components as a Pulumi package, for programs in any language (docs/components/index.md shows how)."""

import sys
import tomllib
from pathlib import Path

# Run as a folder, the package finds its own modules under names without `components.`. So its folder leaves the path,
# and the checkout comes in.
_here = Path(__file__).resolve().parent
sys.path[:] = [str(_here.parent), *(entry for entry in sys.path if Path(entry).resolve() != _here)]

from pulumi.provider.experimental import component, component_provider_host  # noqa: E402 - with the path in order

from components.package import COMPONENTS, PACKAGE, InheritingAnalyzer  # noqa: E402

if __name__ == "__main__":
    # The provider makes its analyzer itself and takes no other one.
    component.Analyzer = InheritingAnalyzer  # pyright: ignore[reportPrivateImportUsage]
    version = tomllib.loads((_here.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    component_provider_host(components=list(COMPONENTS), name=PACKAGE, version=version)
