"""`slipway models`."""

from typing import Annotated

import typer

from release.cli.options import EnvironmentOption, JsonOption, begin, command_app

app = command_app(__doc__ or "")

_METRICS_SHOWN = 2

ModelArgument = Annotated[str | None, typer.Argument(metavar="[MODEL]", help="Only this model.")]


@app.command(epilog="Example: slipway models flight-delay")
def models(model: ModelArgument = None, env: EnvironmentOption = "local", json: JsonOption = False) -> None:
    """The registered versions, newest first: approval, metrics, and where each is live."""
    session = begin(env, json)
    from release.registry import Registry
    from release.releases import read_releases

    registry = Registry(session.environment)
    found = [entry for name in ([model] if model else registry.models) for entry in registry.versions(name)]
    live: dict[tuple[str, str], list[str]] = {}
    for service, record in read_releases(session.environment).items():
        if record.current:
            live.setdefault((record.current.name, record.current.version), []).append(service)
    if json:
        session.screen.result(
            {
                "environment": env,
                "models": [
                    entry.as_json() | {"live_in": live.get((entry.model, entry.version), [])} for entry in found
                ],
            }
        )
        return
    if not found:
        session.screen.line("no version is registered yet; next: slipway register FILE" + session.environment.flag())
        return
    rows = [
        (
            entry.model,
            entry.version,
            entry.state,
            entry.decided_by or "-",
            " ".join(f"{name} {float(value):.3g}" for name, value in list(entry.metrics.items())[:_METRICS_SHOWN])
            or "-",
            ", ".join(live.get((entry.model, entry.version), [])) or "-",
        )
        for entry in found
    ]
    session.screen.table(("model", "version", "state", "by", "metrics", "live in"), rows)
