"""Real programs, policy packs and component packages, run by the real engine through the language host.

All runs have no way out of this machine (see the `project` fixture) and lie in folders with spaces.
"""

import json
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from engine_support import Project

from engine.language_host import plugin_command

pytestmark = pytest.mark.integration

COMPONENT = """
import pulumi

class Thing(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("tried:index:Thing", name)
        self.register_outputs({})
"""


@pytest.fixture(autouse=True)
def needs_our_host(engine: dict[str, str]) -> None:
    if ".slipway" not in str(engine["language_host"]):
        pytest.skip("this machine has the vendor's language host; ours is not used")


def test_up_preview_no_change_and_destroy(project: Project) -> None:
    config = (
        project.root / "stacks" / "Pulumi.dev.yaml"
    ).read_text() + "\n# why this value\nconfig:\n    tried:size: 3\n"
    (project.root / "stacks" / "Pulumi.dev.yaml").write_text(config)
    assert "encryptionsalt" in config
    project.write_program(
        COMPONENT
        + "Thing('one')\n"
        + "pulumi.export('size', pulumi.Config().require_int('size') + 1)\n"
        + "pulumi.export('where', [pulumi.get_stack(), pulumi.get_project()])\n"
        + "print('said on stdout')\n"
    )
    status, output = project.pulumi("up", "--yes", "--stack", "dev")
    assert status == 0, output
    assert "+ 2 created" in output
    assert "said on stdout" in output
    # Among others: the engine is content with the place of the language host.
    assert "warning" not in output
    status, output = project.pulumi("stack", "output", "--json", "--stack", "dev")
    assert json.loads(output) == {"size": 4, "where": ["dev", "tried"]}
    status, output = project.pulumi("preview", "--expect-no-changes", "--stack", "dev")
    assert status == 0, output
    project.write_program(COMPONENT + "Thing('two')\n")
    assert project.pulumi("preview", "--expect-no-changes", "--stack", "dev")[0] != 0
    status, output = project.pulumi("destroy", "--yes", "--stack", "dev")
    assert status == 0, output
    assert "- 2 deleted" in output
    # The engine wrote nothing into the config file that is under version control.
    assert (project.root / "stacks" / "Pulumi.dev.yaml").read_text() == config


def test_a_run_error_is_shown_as_its_message_alone(project: Project) -> None:
    project.write_program("import pulumi\nraise pulumi.RunError('stacks/Pulumi.dev.yaml: a: must be b, got [c]')\n")
    status, output = project.pulumi("preview", "--stack", "dev")
    assert status != 0
    assert "error: stacks/Pulumi.dev.yaml: a: must be b, got [c]\n" in output
    assert "Traceback" not in output
    assert "unhandled" not in output


@pytest.mark.parametrize(
    ("program", "shown"),
    [
        ("def f():\n    raise ValueError('boom')\nf()\n", "ValueError: boom"),
        ("import pulumi\npulumi.Output.from_input(0).apply(lambda x: 1 / x)\n", "ZeroDivisionError"),
    ],
)
def test_any_other_exception_is_shown_from_the_programs_first_line(project: Project, program: str, shown: str) -> None:
    project.write_program(program)
    status, output = project.pulumi("preview", "--stack", "dev")
    assert status != 0
    diagnostics = output.partition("Diagnostics:")[2]
    assert diagnostics.count("Traceback") == 1
    assert shown in diagnostics
    first = diagnostics.partition("Traceback (most recent call last):\n")[2].splitlines()[0]
    assert f'File "{project.root}/stacks/__main__.py", line ' in first


def test_sys_exit_fails_the_run(project: Project) -> None:
    project.write_program("import sys\nsys.exit(3)\n")
    status, output = project.pulumi("preview", "--stack", "dev")
    assert status != 0
    assert "error: the program called sys.exit(3)\n" in output


def test_module_names_of_the_standard_library_and_modules_of_the_checkout(project: Project) -> None:
    for name in ("platform.py", "queue.py"):
        project.write_program("raise SystemError('this is not the standard library')\n", name)
    project.write_program("import pulumi\nfrom engine import version\npulumi.export('v', str(version.ENGINE))\n")
    status, output = project.pulumi("preview", "--stack", "dev")
    for name in ("platform.py", "queue.py"):
        (project.root / "stacks" / name).unlink()
    assert status == 0, output


def test_a_policy_pack_runs_and_stops_what_it_forbids(project: Project) -> None:
    pack = project.root / "a pack"
    pack.mkdir()
    (pack / "PulumiPolicy.yaml").write_text("runtime: python\nversion: 0.0.1\n")
    (pack / "__main__.py").write_text(
        "from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy\n"
        "def check(args, report):\n"
        "    if args.name == 'bad': report('no resource may be called bad')\n"
        "PolicyPack('tried', enforcement_level=EnforcementLevel.MANDATORY, policies=[\n"
        "    ResourceValidationPolicy(name='no-bad', description='No bad names.', validate=check)])\n"
    )
    project.write_program(COMPONENT + "Thing('bad')\n")
    status, output = project.pulumi("preview", "--stack", "dev", "--policy-pack", str(pack))
    assert status != 0
    assert "no resource may be called bad" in output
    project.write_program(COMPONENT + "Thing('good')\n")
    status, output = project.pulumi("preview", "--stack", "dev", "--policy-pack", str(pack))
    assert status == 0, output


def test_a_component_package_gives_its_schema(project: Project) -> None:
    package = project.root / "a package"
    package.mkdir()
    (package / "PulumiPlugin.yaml").write_text("runtime: python\n")
    (package / "thing.py").write_text(
        "from typing import TypedDict\n"
        "import pulumi\n"
        "class ThingArgs(TypedDict):\n"
        "    size: pulumi.Input[int]\n"
        "    '''How large.'''\n"
        "class Thing(pulumi.ComponentResource):\n"
        "    area: pulumi.Output[int]\n"
        "    def __init__(self, name: str, args: ThingArgs, opts: pulumi.ResourceOptions | None = None) -> None:\n"
        "        super().__init__('tried:index:Thing', name, {**args}, opts)\n"
    )
    (package / "__main__.py").write_text(
        "from pulumi.provider.experimental import component_provider_host\n"
        "from thing import Thing\n"
        "component_provider_host(name='tried', components=[Thing])\n"
    )
    done = subprocess.run(
        ["pulumi", "package", "get-schema", package],
        cwd=project.root,
        env=project.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    thing = json.loads(done.stdout)["resources"]["tried:index:Thing"]
    assert thing["inputProperties"]["size"]["type"] == "integer"
    assert thing["inputProperties"]["size"]["description"] == "How large."
    assert thing["requiredInputs"] == ["size"]
    assert "area" in thing["properties"]


def started_host(engine: subprocess.Popen[str], program_runs: Path) -> psutil.Process:
    """The language host below a running engine, once the program in it runs."""
    end = time.monotonic() + 30
    while not program_runs.exists():
        assert time.monotonic() < end, "the program did not start"
        time.sleep(0.05)
    hosts = [
        process for process in psutil.Process(engine.pid).children() if "engine.language_host" in process.cmdline()
    ]
    assert len(hosts) == 1
    return hosts[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_host_outlives_its_engine(project: Project, tmp_path: Path, number: signal.Signals) -> None:
    runs = tmp_path / "runs"
    project.write_program(f"import pathlib, time\npathlib.Path({str(runs)!r}).touch()\ntime.sleep(120)\n")
    process = project.start("preview", "--stack", "dev")
    host = started_host(process, runs)
    process.send_signal(number)
    output, _ = process.communicate(timeout=10)
    assert process.returncode != 0
    host.wait(timeout=5)
    assert "Traceback" not in output
    if number == signal.SIGINT:
        assert "canceled" in output or "cancelling" in output


def test_a_plugin_is_run_unbuffered_by_this_interpreter() -> None:
    from pulumi.runtime.proto import language_pb2

    def command(kind: str) -> list[str]:
        info = language_pb2.ProgramInfo(program_directory="/a pack")
        return plugin_command(language_pb2.RunPluginRequest(kind=kind, args=["127.0.0.1:1"], info=info))[1:]

    assert command("analyzer") == ["-u", "-m", "pulumi.policy", "127.0.0.1:1", "/a pack"]
    assert command("resource") == ["-u", "/a pack", "127.0.0.1:1"]
    assert Path(plugin_command(language_pb2.RunPluginRequest())[0]).is_absolute()
