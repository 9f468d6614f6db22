"""`slipway run`."""

import time
from pathlib import Path
from typing import Annotated

import typer

from release.cli.options import (
    ConfirmOption,
    EnvironmentOption,
    JsonOption,
    ServiceArgument,
    begin,
    command_app,
    confirm_change,
    existing_file,
    service_named,
)
from release.errors import SlipwayError

app = command_app(__doc__ or "")

PatternArgument = Annotated[str, typer.Argument(metavar="batch", help="What is run.")]
InputOption = Annotated[
    Path | None, typer.Option("--input", "-i", metavar="FILE", help="A file of rows to put into the input first.")
]


@app.command(epilog="Example: slipway run flight-delay batch --input tomorrow.parquet")
def run(
    service: ServiceArgument,
    pattern: PatternArgument,
    file: InputOption = None,
    env: EnvironmentOption = "local",
    confirm: ConfirmOption = None,
    json: JsonOption = False,
) -> None:
    """Run a service's batch now, as its schedule would, and wait for its result."""
    began = time.monotonic()
    session = begin(env, json)
    service_named(session, service)
    if pattern != "batch":
        raise SlipwayError("usage", f"expected batch, got {pattern!r}", f"slipway run {service} batch", exit_code=2)
    if file is not None:
        existing_file(file, "--input")
    confirm_change(session, confirm, f"slipway run {service} batch")
    from release import batch_runs
    from release.cluster import open_cluster

    screen, environment, flag = session.screen, session.environment, session.environment.flag()
    cluster = open_cluster(environment)
    batch = batch_runs.find_batch(cluster, environment, session.deployed.services[service])
    now = batch_runs.now()
    if file is not None:
        screen.line(f"input    {batch_runs.upload(environment, batch, file, now)}")
    name = batch_runs.run_name(batch, now)
    batch_runs.start(cluster, batch, name)
    with screen.waiting(f"{name} begins") as waiting:

        def tell(progress: batch_runs.Progress) -> None:
            if progress.rows:
                left = "" if progress.seconds_left is None else f", {progress.seconds_left} s left"
                waiting.now(f"{name}: {progress.rows:,} rows, {progress.rows_per_second:,} a second{left}")

        batch_runs.wait(cluster, batch, name, tell)
    told = batch_runs.outcome(environment, batch, name)
    seconds = time.monotonic() - began
    if json:
        screen.result({"service": service, **told, "seconds": round(seconds, 1)})
        return
    screen.line(f"{service} scored {told['rows']:,} rows with {told['model']} {told['version']}", style="bold green")
    screen.line(f"  input    {told['input']}")
    if told["rejected"]:
        screen.line(f"  rejected {told['rejected']:,}, each with its reason: {told['rejected_output']}")
    if told["output"]:
        screen.line(f"  result   {told['output']}")
        prefix = 'eval "$(slipway env)"; ' if environment.is_local else ""
        screen.line(f"  read it  {prefix}aws s3 cp {told['output']} .")
    screen.line(f"  again    slipway run {service} batch{flag}")
    screen.line(f"  took     {seconds:.0f} s")
