"""`slipway send`."""

from typing import Annotated, Any

import typer

from release.cli.options import EnvironmentOption, JsonOption, ServiceArgument, begin, command_app, service_named
from release.cli.rows import read_rows
from release.errors import SlipwayError

app = command_app(__doc__ or "")

FileArgument = Annotated[
    str,
    typer.Argument(metavar="FILE", help='Rows: .csv, or JSON: [{…}], {"rows": […]}, one object a line; - is stdin.'),
]
WaitOption = Annotated[bool, typer.Option("--wait", "-w", help="Wait until the worker has taken them all.")]
_PATIENCE_SECONDS = 120.0


@app.command(epilog="Example: slipway send flight-delay flights.csv --wait")
def send(
    service: ServiceArgument,
    file: FileArgument,
    wait: WaitOption = False,
    env: EnvironmentOption = "local",
    json: JsonOption = False,
) -> None:
    """Put rows on a service's stream, one message each; its worker scores them into the event store."""
    session = begin(env, json)
    service_named(session, service)
    stream = session.deployed.services[service].stream
    if stream is None:
        raise SlipwayError(
            "no-stream",
            f"{service} has no stream",
            f"give it one: stream: {{source: sqs}} in stacks/Pulumi.{env}.yaml",
            exit_code=2,
        )
    rows = read_rows(file)
    from release.streams import depth, send_rows, wait_until_answered

    screen, environment = session.screen, session.environment
    before = depth(environment, stream.dead_letters) or 0
    sent = send_rows(environment, stream, rows)
    screen.line(f"{sent} messages put on {stream.url.rpartition('/')[2]}")
    result: dict[str, Any] = {"service": service, "sent": sent, "queue": stream.url}
    store = f"s3://{session.deployed.require('capture_bucket', environment)}/{service}/"
    if wait:
        with screen.waiting("waiting for the worker"):
            seconds = wait_until_answered(environment, stream, _PATIENCE_SECONDS)
        refused = max(0, (depth(environment, stream.dead_letters) or 0) - before)
        result |= {"seconds": round(seconds, 1), "dead_letters": refused}
        screen.line(f"taken in {seconds:.1f} s: {sent - refused} predicted, {refused} set aside as dead letters")
        if refused:
            screen.line(f"  why: the attribute `reason` of each message in {stream.dead_letters.rpartition('/')[2]}")
    result["event_store"] = store
    screen.line(f"predictions: {store}date=…/hour=…/stream-*.parquet")
    if json:
        screen.result(result)
