"""Which model version a workload runs, and where its package lies."""

import re
from typing import TypedDict

import pulumi

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_VERSION = re.compile(r"[a-z0-9][a-z0-9.-]{0,31}")


class ModelArgs(TypedDict):
    """One version of one model."""

    name: str
    """Model name, as in the registry."""
    version: str
    """Version: 1-32 of `[a-z0-9.-]`, a letter or digit first."""
    digest: str
    """`sha256:` and 64 hex digits: the digest of the model package."""


def require_model(model: ModelArgs) -> ModelArgs:
    """`model`, when version and digest can be right; else a ValueError that says which is not and what was expected."""
    if not _VERSION.fullmatch(model["version"]):
        raise ValueError(
            f"model {model['name']}: version {model['version']!r}: expected 1-32 lower-case letters, digits, dots or "
            "hyphens, a letter or digit first; `slipway models` lists the versions"
        )
    if not _DIGEST.fullmatch(model["digest"]):
        raise ValueError(
            f"model {model['name']}: digest {model['digest']!r}: expected sha256:<64 hex digits>; "
            "`slipway models` lists the digests"
        )
    return model


def package_key(model: ModelArgs) -> str:
    """Key of the model package in the models bucket: `<model>/<digest hex>.tar.gz`."""
    return f"{model['name']}/{model['digest'].removeprefix('sha256:')}.tar.gz"


def package_uri(bucket: pulumi.Input[str], model: ModelArgs) -> pulumi.Output[str]:
    """`s3://` address of the model package."""
    return pulumi.Output.concat("s3://", bucket, "/", package_key(model))
