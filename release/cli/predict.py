"""`slipway predict`."""

from typing import Annotated, Any

import typer

from release.cli.options import EnvironmentOption, JsonOption, ServiceArgument, begin, command_app, service_named
from release.cli.rows import read_rows, value_of
from release.documents import part, parts
from release.errors import SlipwayError

app = command_app(__doc__ or "")

ValuesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FEATURE=VALUE]…", help="One row; a value that reads as JSON is taken as such."),
]
FileOption = Annotated[
    str | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help='Rows: .csv, or JSON: [{…}], {"rows": […]}, one object a line; - is stdin.',
    ),
]


@app.command(epilog="Example: slipway predict flight-delay carrier=UA origin=EWR dest=IAH hour=5 temp=39.0")
def predict(
    service: ServiceArgument,
    values: ValuesArgument = None,
    file: FileOption = None,
    env: EnvironmentOption = "local",
    json: JsonOption = False,
) -> None:
    """Ask a service about one row given here, or about the rows of a file."""
    session = begin(env, json)
    service_named(session, service)
    if bool(values) == bool(file):
        raise SlipwayError(
            "usage", "give either FEATURE=VALUE pairs or --file", "see: slipway predict --help", exit_code=2
        )
    rows = read_rows(file) if file else [dict(map(_pair, values or []))]
    from release.cluster import open_cluster

    cluster = open_cluster(session.environment)
    status, answer = cluster.ask_service(session.deployed.services[service], "/predict", {"rows": rows}, timeout=60)
    if status != 200:
        reason = part(answer).get("error") or answer
        hint = "see: slipway curl " + service if status == 400 else f"see: slipway status{session.environment.flag()}"
        raise SlipwayError("not-answered", f"{service} answered {status}: {reason}", hint)
    if json:
        session.screen.result(answer)
        return
    session.screen.line(f"{service} {answer.get('model_version')}")
    for prediction in parts(answer, "predictions"):
        session.screen.line("  " + "  ".join(f"{name} {value}" for name, value in prediction.items()))


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise SlipwayError("usage", f"expected FEATURE=VALUE, got {text!r}", "see: slipway predict --help", exit_code=2)
    return name, value_of(value)
