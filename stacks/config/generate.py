"""Writes what is generated from the config model: `stacks/schema.json` and the tables of `docs/configuration.md`.

Run as `python -m stacks.config.generate` after a change of the model; a test holds both to it.
"""

import json
from pathlib import Path

from stacks.config.json_schema import json_schema
from stacks.config.loader import CHECKOUT
from stacks.config.reference import BEGIN, reference


def generated(checkout: Path) -> dict[Path, str]:
    """Each generated file of the checkout with the content that it should have."""
    page = checkout / "docs" / "configuration.md"
    by_hand, _, _ = page.read_text(encoding="utf-8").partition(BEGIN)
    return {
        checkout / "stacks" / "schema.json": json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n",
        page: by_hand + reference(),
    }


if __name__ == "__main__":
    for file, content in generated(CHECKOUT).items():
        file.write_text(content, encoding="utf-8")
