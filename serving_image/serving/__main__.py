"""`python -m serving COMMAND`: what a pod's containers run."""

import os
import sys

from serving.exits import CommandError, Exit
from serving.logs import Log
from serving.settings import Settings, SettingsError, load

_USAGE = """usage: python -m serving COMMAND

  fetch   download, verify and unpack the model package (SLIPWAY_MODEL_URI, SLIPWAY_MODEL_DIGEST)
  rest    serve it over HTTP and gRPC
  batch   score files: one worker of a run (SLIPWAY_BATCH_*)
  stream  score messages as they come (SLIPWAY_STREAM_*)

Everything else is said by SLIPWAY_* variables; serving/settings.py lists them.
Example: SLIPWAY_MODEL_DIR=package SLIPWAY_BIND=127.0.0.1 python -m serving rest
"""


def main(arguments: list[str]) -> int:
    """Run one command; the exit code is one of `Exit`, and a failure's reason is the last line on stderr."""
    if arguments and arguments[0] in {"-h", "--help", "help"}:
        sys.stdout.write(_USAGE)
        return Exit.OK
    log = Log()
    if "AWS_REGION" in os.environ:  # what pods are given; botocore knows the region by another name only
        os.environ.setdefault("AWS_DEFAULT_REGION", os.environ["AWS_REGION"])
    try:
        settings = load()
        log = Log(settings.log_level, service=settings.service, environment=settings.environment)
        return _run(arguments, settings, log)
    except SettingsError as error:
        for mistake in str(error).splitlines():
            log.error(mistake)
        return Exit.CONFIG
    except CommandError as error:
        log.error(str(error))
        return error.code
    except KeyboardInterrupt:
        return Exit.OK
    except Exception as error:  # noqa: BLE001 - the last resort: one line, with the traceback as its field
        log.error(f"a defect of this program: {type(error).__name__}: {error}", error)
        return Exit.INTERNAL


def _run(arguments: list[str], settings: Settings, log: Log) -> int:
    match arguments:
        case ["fetch"]:
            from serving.fetch import fetch

            fetch(settings, log)
        case ["batch"]:
            from serving.batch.worker import end_on_sigterm, run

            end_on_sigterm()
            run(settings, log)
        case ["rest"] if settings.workers > 1:
            from serving.sockets import bind, reserve
            from serving.startup import open_package
            from serving.supervisor import Supervisor

            open_package(settings)
            sockets = bind(settings.bind, settings.rest_port, settings.workers, "SLIPWAY_REST_PORT")
            grpc = reserve(settings.bind, settings.grpc_port, "SLIPWAY_GRPC_PORT")
            return Supervisor(settings, sockets, grpc).run()
        case ["rest"]:
            from serving.metrics import Metrics
            from serving.sockets import bind, reserve
            from serving.worker import Worker

            (socket,) = bind(settings.bind, settings.rest_port, 1, "SLIPWAY_REST_PORT")
            grpc = reserve(settings.bind, settings.grpc_port, "SLIPWAY_GRPC_PORT")
            Worker(settings, socket, grpc.getsockname()[1], Metrics()).run()
        case ["rest-worker", *options]:
            import socket as sockets

            from serving.metrics import Metrics
            from serving.supervisor import worker_arguments
            from serving.worker import Worker

            given = worker_arguments(options)
            metrics = Metrics(given["index"], settings.workers, given["metrics"])
            rest_socket = sockets.socket(fileno=given["rest"])
            Worker(settings, rest_socket, given["grpc"], metrics, given["parent"]).run()
        case ["stream"]:
            from serving.sockets import bind
            from serving.stream.worker import run

            (socket,) = bind(settings.bind, settings.rest_port, 1, "SLIPWAY_REST_PORT")
            run(settings, socket, log)
        case ["ship", parent] if parent.isdigit():
            import signal

            from serving.shipping import Shipper

            # The server tells it to end, by closing the pipe; a signal to the whole group is not meant for it.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            os.nice(19)
            Shipper(settings, log).run(int(parent))
        case _:
            sys.stderr.write(_USAGE)
            return Exit.USAGE
    return Exit.OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
