from pathlib import Path

import pytest
from serving.settings import Settings, SettingsError, load, variables


def test_what_is_not_said_has_its_default() -> None:
    assert load({}) == load({"SLIPWAY_REST_PORT": "", "OTHER": "x", "SLIPWAY_UNKNOWN": "1"}) == Settings()


def test_values_are_read_as_what_they_are() -> None:
    digest = "sha256:" + "a" * 64
    found = load(
        {
            "SLIPWAY_REST_PORT": "1234",
            "SLIPWAY_DRAIN_SECONDS": "0.5",
            "SLIPWAY_MODEL_DIR": "a b",
            "SLIPWAY_MODEL_DIGEST": digest,
        }
    )
    assert (found.rest_port, found.drain_seconds, found.model_dir, found.model_digest) == (
        1234,
        0.5,
        Path("a b"),
        digest,
    )


def test_every_mistake_is_one_line_that_names_the_variable() -> None:
    wrong = {
        "SLIPWAY_MODEL_DIGEST": "abc",
        "SLIPWAY_REST_PORT": "http",
        "SLIPWAY_WORKERS": "0",
        "SLIPWAY_DRAIN_SECONDS": "-1",
        "SLIPWAY_LOG_LEVEL": "loud",
    }
    with pytest.raises(SettingsError) as caught:
        load(wrong)
    assert str(caught.value).splitlines() == [
        "SLIPWAY_MODEL_DIGEST: expected sha256:<64 hex digits>, got 'abc'",
        "SLIPWAY_REST_PORT: expected a whole number, got 'http'",
        "SLIPWAY_WORKERS: expected a whole number >= 1, got '0'",
        "SLIPWAY_DRAIN_SECONDS: expected a number >= 0.0, got '-1'",
        "SLIPWAY_LOG_LEVEL: expected one of debug, info, warning, error, got 'loud'",
    ]


def test_the_list_of_variables_is_that_of_the_architecture_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()
    missing = [name for name in variables() if f"`{name}`" not in page]
    assert missing == []
