"""Outputs of a component that are made of several others."""

from collections.abc import Mapping

import pulumi


def mapping(outputs: Mapping[str, pulumi.Output[str]]) -> pulumi.Output[dict[str, str]]:
    """A mapping of outputs as one output; an empty one stays a mapping (`Output.all()` would make it a list)."""
    return pulumi.Output.all(**outputs) if outputs else pulumi.Output.from_input(dict[str, str]())
