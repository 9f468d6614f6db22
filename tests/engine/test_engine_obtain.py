"""Which way to an engine is chosen where none was found."""

import io
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from engine_support import executable

from engine import obtain
from engine.errors import EngineError
from engine.obtain import vendor_reachable
from engine.paths import EngineCache


class Typed(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[EngineCache]:
    """The builds that were asked for, each of which succeeds at once."""
    asked: list[EngineCache] = []

    def build(cache: EngineCache) -> None:
        asked.append(cache)
        executable(cache.pulumi, "echo v3.259.0")

    monkeypatch.setattr(obtain, "build", build)
    for name in ("CI", "SLIPWAY_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return asked


def reachable(monkeypatch: pytest.MonkeyPatch, answer: bool) -> list[bool]:
    probes: list[bool] = []

    def probe() -> bool:
        probes.append(answer)
        return answer

    monkeypatch.setattr(obtain, "vendor_reachable", probe)
    return probes


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, types: str) -> Typed:
    screen = Typed()
    monkeypatch.setattr("sys.stdin", Typed(types))
    monkeypatch.setattr("sys.stderr", screen)
    return screen


def test_builds_where_the_vendor_cannot_be_reached(
    cache: EngineCache, builds: list[EngineCache], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reachable(monkeypatch, False)
    at_a_terminal(monkeypatch, "")
    cli = obtain.obtain(cache, "", ["/old/pulumi is 3.1.0"])
    assert (cli.pulumi, cli.origin) == (cache.pulumi, "built")
    assert builds == [cache]


@pytest.mark.parametrize("answer", ["y\n", "YES\n"])
def test_names_the_official_cli_and_builds_only_when_told_to(
    cache: EngineCache, builds: list[EngineCache], monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    reachable(monkeypatch, True)
    screen = at_a_terminal(monkeypatch, answer)
    obtain.obtain(cache, "", ["/old/pulumi is 3.1.0"])
    assert builds == [cache]
    assert "/old/pulumi is 3.1.0" in screen.getvalue()
    assert "sh -s -- --version 3.259.0" in screen.getvalue()
    assert screen.getvalue().endswith("[y/N] ")


@pytest.mark.parametrize("answer", ["\n", "n\n", "", "what?\n"])
def test_any_other_answer_is_no(
    cache: EngineCache, builds: list[EngineCache], monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    reachable(monkeypatch, True)
    at_a_terminal(monkeypatch, answer)
    with pytest.raises(EngineError) as caught:
        obtain.obtain(cache, "", [])
    assert caught.value.code == "engine-missing"
    assert "--version 3.259.0" in caught.value.hint
    assert builds == []


def test_without_a_terminal_it_is_announced_and_built(
    cache: EngineCache, builds: list[EngineCache], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reachable(monkeypatch, True)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    obtain.obtain(cache, "", [])
    assert builds == [cache]
    assert "The official one, in seconds: curl" in capsys.readouterr().err


@pytest.mark.parametrize("setting", ["CI", "SLIPWAY_OFFLINE"])
def test_the_vendor_is_not_probed_in_ci_or_offline(
    cache: EngineCache, builds: list[EngineCache], monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    probes = reachable(monkeypatch, True)
    monkeypatch.setenv(setting, "1")
    obtain.obtain(cache, "", [])
    assert (builds, probes) == ([cache], [])


def test_asked_to_build_it_builds_without_a_question(
    cache: EngineCache, builds: list[EngineCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    probes = reachable(monkeypatch, True)
    obtain.obtain(cache, "build", [])
    assert (builds, probes) == ([cache], [])


def test_asked_for_the_one_on_path_it_builds_nothing(cache: EngineCache, builds: list[EngineCache]) -> None:
    with pytest.raises(EngineError, match=r"SLIPWAY_ENGINE=path, but /old/pulumi is 3\.1\.0"):
        obtain.obtain(cache, "path", ["/old/pulumi is 3.1.0"])
    assert builds == []


class Site(BaseHTTPRequestHandler):
    status = 200

    def do_HEAD(self) -> None:
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


class Refusing(Site):
    status = 403


@pytest.fixture(params=[Site, Refusing])
def site(request: pytest.FixtureRequest) -> Generator[tuple[str, int]]:
    with HTTPServer(("127.0.0.1", 0), request.param) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", request.param.status
        server.shutdown()
        thread.join()


def test_reachable_means_that_the_host_lets_us_in(site: tuple[str, int]) -> None:
    url, status = site
    assert vendor_reachable(url, 5) is (status == 200)


def test_a_host_that_does_not_answer_is_not_waited_for_longer_than_told() -> None:
    with HTTPServer(("127.0.0.1", 0), Site) as silent:  # listens, and nobody answers
        assert vendor_reachable(f"http://127.0.0.1:{silent.server_port}", 0.2) is False
