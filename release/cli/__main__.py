"""`python -m release.cli`, where the `slipway` script is not on PATH."""

from release.cli.main import main

main()
