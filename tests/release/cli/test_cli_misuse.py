"""Misuse ends in one clear line, the same on paper as in JSON; never a traceback, never a URN."""

import json
import os
from pathlib import Path

import pytest
from release_support import deployed, slipway

from release.environment import Environment
from release.lock import changing

# words, exit code, code, what standard error says (after "error: "), hint
GOLDEN = [
    (["statsu"], 2, "usage", "there is no command 'statsu'", "did you mean: slipway status"),
    (["frobnicate"], 2, "usage", "there is no command 'frobnicate'", "see: slipway --help"),
    (
        ["status", "--jsn"],
        2,
        "usage",
        "no such option: --jsn (Possible options: --env, --json)",
        "see: slipway status --help",
    ),
    (["status", "extra"], 2, "usage", "got unexpected extra argument(s) (extra)", "see: slipway status --help"),
    (["release"], 2, "usage", "missing argument 'SERVICE'", "see: slipway release --help"),
    (["release", "x"], 2, "usage", "missing argument 'VERSION'", "see: slipway release --help"),
    (
        ["status", "-e", "locl"],
        1,
        "unknown-environment",
        "there is no environment 'locl': stacks/ has dev, local",
        "did you mean 'local'?",
    ),
    (
        ["status", "-e", "prod"],
        1,
        "unknown-environment",
        "there is no environment 'prod': stacks/ has dev, local",
        "write stacks/Pulumi.prod.yaml to make one",
    ),
    (["release", "flight-delay", "1"], 1, "not-deployed", "local is not deployed yet", "run: slipway up"),
    (["curl", "flight-delay", "-e", "dev"], 1, "not-deployed", "dev is not deployed yet", "run: slipway up -e dev"),
    (["models"], 1, "not-deployed", "local is not deployed yet", "run: slipway up"),
    (["register", "no.tar.gz"], 2, "no-such-file", "the package no.tar.gz is not a file", "check the path"),
    (
        ["down", "-e", "dev"],
        2,
        "not-confirmed",
        "down would change dev: its name was not confirmed",
        "add --confirm dev",
    ),
    (
        ["down", "-e", "dev", "--confirm", "prod"],
        2,
        "not-confirmed",
        "down would change dev: 'prod' is not its name",
        "add --confirm dev",
    ),
    (["package", "m.onnx"], 2, "usage", "a package needs --sample, --name, --version", "see: slipway package --help"),
]


@pytest.mark.parametrize(
    ("words", "exit_code", "code", "message", "hint"),
    GOLDEN,
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_one_line_and_the_way_out(words: list[str], exit_code: int, code: str, message: str, hint: str, root: Path):
    done = slipway(*words, root=root)
    said = done.stderr.splitlines()[-2:]  # commands whose output is meant for a pipe name the environment before
    assert said == [f"error: {message}", f"  → {hint}"]
    assert done.returncode == exit_code
    if words[0] in {"statsu", "frobnicate"}:
        return
    in_json = slipway(*words, "--json", root=root)
    assert json.loads(in_json.stdout) == {"code": code, "message": message, "hint": hint}
    assert in_json.returncode == exit_code


def test_the_first_line_names_the_environment(root: Path):
    assert slipway("status", root=root).stdout.splitlines()[0] == "local · this machine"
    assert slipway("status", "-e", "dev", root=root).stdout.splitlines()[0] == "dev · not deployed from here yet"


def test_the_first_line_names_the_account(root: Path, dev: Environment):
    dev.directory.mkdir(parents=True)
    outputs = {"region": "eu-west-1", "kms_key_arn": "arn:aws:kms:eu-west-1:123456789012:key/1"}
    (dev.directory / "outputs.json").write_text(json.dumps({"layout": 1, "outputs": outputs}))
    first = slipway("status", "-e", "dev", root=root).stdout.splitlines()[0]
    assert first == "dev · account 123456789012 · eu-west-1"


def test_an_unknown_service_names_the_known_ones(root: Path, local: Environment):
    deployed(local)
    done = slipway("logs", "flight-dely", root=root)
    assert done.stderr.splitlines()[1:] == [
        "error: there is no service 'flight-dely' in local: it has flight-delay",
        "  → did you mean 'flight-delay'?",
    ]


def test_outside_a_checkout(tmp_path: Path, root: Path):
    done = slipway("status", root=tmp_path, variables={"SLIPWAY_ROOT": ""})
    assert done.stderr.startswith(f"error: {tmp_path} is not inside a Slipway checkout")
    done = slipway("status", root=root, variables={"SLIPWAY_ROOT": str(tmp_path)})
    assert done.stderr.startswith(f"error: SLIPWAY_ROOT names {tmp_path}, which has no Pulumi.yaml")


def test_from_a_folder_below_the_checkout(root: Path):
    below = root / "stacks"
    assert slipway("status", root=below, variables={"SLIPWAY_ROOT": ""}).returncode == 0


@pytest.mark.parametrize("file", ["daemon.json", "releases.json"])
def test_a_state_file_of_an_older_layout(file: str, root: Path, local: Environment):
    deployed(local)
    (local.directory / file).write_text('{"layout": 0}')
    done = slipway("status", root=root)
    text = done.stdout + done.stderr
    assert "layout" in text
    assert "slipway down && slipway up" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("file", ["daemon.json", "releases.json", "state/.pulumi/stacks/slipway/local.json"])
@pytest.mark.parametrize("content", [b"{", b"", b"[1]", b"\xff\xfe", b"null"])
def test_a_state_file_that_is_damaged(file: str, content: bytes, root: Path, local: Environment):
    deployed(local)
    path = local.directory / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    done = slipway("status", root=root)
    text = done.stdout + done.stderr
    assert path.name in text
    assert "Traceback" not in text
    assert "defect" not in text


def test_doctor_says_what_is_damaged_and_what_mends_it(root: Path, local: Environment):
    deployed(local)
    (local.directory / "releases.json").write_text("{")
    (local.directory / "daemon.json").write_text("[]")
    done = slipway("doctor", "--check", root=root)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    for subject in ("releases", "daemon"):
        place = next(number for number, line in enumerate(lines) if line.startswith(f"BAD   {subject}"))
        assert lines[place + 1].startswith("      → run: slipway ")


def test_an_environment_that_is_being_changed_names_who(root: Path, local: Environment):
    with changing(local, "slipway up --something"):
        done = slipway("down", root=root)
        assert done.returncode == 1
        assert f"local is being changed by `slipway up --something` (pid {os.getpid()} on " in done.stderr
        status = slipway("status", root=root)
        assert "being changed by `slipway up --something`" in status.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to what is read-only")
def test_a_folder_that_cannot_be_written(root: Path):
    (root / ".slipway").mkdir(mode=0o500)
    done = slipway("up", root=root)
    assert done.stderr.count("\n") == 2
    assert "permission denied" in done.stderr


def test_a_slipway_folder_that_is_a_file(root: Path):
    (root / ".slipway").write_text("")
    done = slipway("up", root=root)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the system refused ")
    assert "Traceback" not in done.stderr


def test_a_defect_is_one_line_with_a_log_that_has_the_rest(root: Path):
    code = "import release.status as s, sys; s.read_status = lambda e: 1/0; sys.argv = ['slipway', 'status']\n"
    code += "from release.cli import main; main()"
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 70
    lines = done.stderr.splitlines()
    assert lines[0] == "error: this is a defect of Slipway: ZeroDivisionError: division by zero"
    log = Path(lines[-1].removeprefix("  log: "))
    assert log.is_relative_to(root / ".slipway")
    assert "Traceback" in log.read_text()


def test_a_wrong_config_says_every_mistake_before_anything_is_started(root: Path):
    file = root / "stacks" / "Pulumi.local.yaml"
    file.write_text(file.read_text().replace("min: 2", "mn: 2").replace("max: 2", "max: 1"))
    done = slipway("up", root=root)
    assert done.returncode == 1
    assert done.stderr.count("stacks/Pulumi.local.yaml:8: slipway:services.flight-delay.rest.replicas") == 2
    assert "slipway:services.flight-delay.rest.replicas.mn: unknown key; did you mean min?" in done.stderr
    assert not (root / ".slipway" / "local" / "daemon.json").exists()


def test_a_reader_that_leaves_early_is_no_error(root: Path):
    import subprocess
    import sys

    command = f'"{sys.executable}" -m release.cli --help | head -1; exit "${{PIPESTATUS[0]}}"'
    done = subprocess.run(["bash", "-c", command], cwd=root, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
