"""`slipway curl`."""

from release.cli.answers import curl_line
from release.cli.options import EnvironmentOption, JsonOption, ServiceArgument, begin, command_app, service_named
from release.errors import SlipwayError

app = command_app(__doc__ or "")


@app.command(epilog='Example: sh -c "$(slipway curl flight-delay)"')
def curl(service: ServiceArgument, env: EnvironmentOption = "local", json: JsonOption = False) -> None:
    """Print a ready-made request: the golden question of the live version, for the address where it answers."""
    session = begin(env, json, aside=True)
    service_named(session, service)
    from release.cluster import open_cluster
    from release.registry import Registry
    from release.releases import read_releases
    from release.verify import ask_golden

    record = read_releases(session.environment).get(service)
    flag = session.environment.flag()
    if record is None or record.current is None:
        raise SlipwayError(
            "not-released", f"{service} waits for its first release", f"run: slipway release {service} VERSION{flag}"
        )
    registry = Registry(session.environment)
    manifest, golden = registry.golden(registry.find(record.current.name, record.current.version))
    cluster = open_cluster(session.environment)
    answer = ask_golden(cluster, session.deployed.services[service], record.current, manifest, golden)
    line = curl_line(answer)
    if line is None:
        raise SlipwayError(
            "no-address",
            f"no address leads to {service} from here: it has no ingress",
            f"ask it with: slipway predict {service}{flag} …",
        )
    if json:
        session.screen.result(
            {"service": service, "version": answer.release.version, "curl": line, "answer": answer.answer}
        )
    else:
        print(line)
