"""`python -m bench [NAME …]`: run the benchmarks (all unless named) and write their tables under docs/benchmarks/."""

import argparse
import importlib
import sys

BENCHMARKS = {
    "batch": "rows a second of a batch against onnxruntime alone on the same rows in memory, and memory by rows",
    "serving": "REST and gRPC against a bare application on the same servers and a hand-written FastAPI service",
    "stream": "events a second of a stream worker against a consumer that only acknowledges",
    "peers": "REST and gRPC against MLServer, KServe, Ray Serve and PyTriton (with PEERS=1 only)",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="; ".join(f"{k}: {v}" for k, v in BENCHMARKS.items()))
    parser.add_argument("--list", action="store_true", help="only say which there are")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement (default 3)")
    parser.add_argument("--repeats", type=int, default=5, help="of each measurement, taken in turn (default 5)")
    parser.add_argument("--millions", default="1,3,10", help="of rows that batch scores, in turn (default 1,3,10)")
    parser.add_argument("--out", default="docs/benchmarks", help="where the tables go (default docs/benchmarks)")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"no benchmark {unknown[0]!r}; there are: {', '.join(BENCHMARKS)}")
    if options.list:
        sys.stdout.writelines(f"{name}: {text}\n" for name, text in BENCHMARKS.items())
        return 0
    for name in options.names or BENCHMARKS:
        importlib.import_module(f"bench.{name}").run(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
