"""`slipway package`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from release.cli.options import JsonOption, command_app
from release.cli.screen import Screen
from release.documents import as_object
from release.errors import SlipwayError

if TYPE_CHECKING:
    from serving.manifest import Missing, Scalar

app = command_app(__doc__ or "")

ModelArgument = Annotated[
    Path,
    typer.Argument(metavar="MODEL", help="An ONNX file; a folder with model.onnx; or a package folder, to pack it."),
]
SampleOption = Annotated[
    Path | None,
    typer.Option(
        "--sample", "-s", metavar="FILE", help="Rows it was trained on: .csv, .parquet or .jsonl (tensors: .npz)."
    ),
]
NameOption = Annotated[str | None, typer.Option("--name", "-n", metavar="NAME", help="The model's name.")]
VersionOption = Annotated[
    str | None, typer.Option("--version", "-v", metavar="VERSION", help="This version; unique in a registry.")
]
TaskOption = Annotated[str | None, typer.Option("--task", metavar="TASK", help="classification, regression or other.")]
FeaturesOption = Annotated[
    str, typer.Option("--features", metavar="A,B,…", help="The sample's columns that feed the model, in its order.")
]
CategoricalOption = Annotated[
    str,
    typer.Option(
        "--categorical", metavar="A,B,…", help="Features that are categories though their input takes numbers."
    ),
]
MissingOption = Annotated[
    list[str], typer.Option("--missing", metavar="FEATURE=RULE", help="reject, nan, or fill:VALUE for an absent value.")
]
ClassesOption = Annotated[
    str, typer.Option("--classes", metavar="A,B,…", help="The classes' names, in the model's order.")
]
MetricOption = Annotated[
    list[str], typer.Option("--metric", metavar="NAME=NUMBER", help="A metric of training or evaluation.")
]
LockOption = Annotated[
    Path | None,
    typer.Option("--environment", metavar="FILE", help="A requirements file: the exact versions that trained it."),
]
GoldenOption = Annotated[
    str | None,
    typer.Option(
        "--golden", metavar="JSON", help="The row that every release asks; else the sample's first whole one."
    ),
]
OutOption = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where the package goes.")]


@app.command(epilog="Example: slipway package churn.onnx --sample training.parquet --name churn --version 1")
def package(
    model: ModelArgument,
    sample: SampleOption = None,
    name: NameOption = None,
    version: VersionOption = None,
    task: TaskOption = None,
    features: FeaturesOption = "",
    categorical: CategoricalOption = "",
    missing: MissingOption = [],  # noqa: B006 - typer makes a list of its own for each call
    classes: ClassesOption = "",
    metric: MetricOption = [],  # noqa: B006
    environment: LockOption = None,
    golden: GoldenOption = None,
    out: OutOption = Path(),
    json: JsonOption = False,
) -> None:
    """Make a model package: the model, its signature, a baseline of its training data, and a golden question.

    Signature, features, baseline and the golden answer are read from the model and the sample; the same input gives
    the same package, byte for byte.
    """
    screen = Screen(json)
    screen.line("no environment · this machine", style="bold")
    from release.package import Description, build, pack_directory

    with screen.waiting(f"packaging {model}"):
        if sample is None and (model / "manifest.json").is_file():
            made = pack_directory(model)
        else:
            if sample is None or name is None or version is None:
                raise _needed(sample, name, version)
            made = build(
                model,
                sample,
                Description(
                    name=name,
                    version=version,
                    task=_task(task),
                    features=_listed(features),
                    categorical=frozenset(_listed(categorical)),
                    missing={feature: _missing(rule) for feature, rule in map(_pair, missing)},
                    classes=_listed(classes),
                    metrics={key: _number(key, value) for key, value in map(_pair, metric)},
                    environment=_text_of(environment),
                    golden=_row(golden),
                ),
                into=out,
            )
    summary = made.summary()
    if json:
        screen.result(summary)
        return
    screen.line(f"{made.archive}")
    screen.line(
        f"  {summary['name']} {summary['version']}, {summary['task']}, {summary['bytes']:,} bytes, {made.digest}"
    )
    screen.line(f"  takes {', '.join(summary['inputs'])}")
    screen.line(f"  gives {', '.join(summary['outputs'])}")
    screen.line(f"  next: slipway register {made.archive}")


def _needed(sample: Path | None, name: str | None, version: str | None) -> SlipwayError:
    lacking = [
        option for option, value in (("--sample", sample), ("--name", name), ("--version", version)) if value is None
    ]
    return SlipwayError("usage", f"a package needs {', '.join(lacking)}", "see: slipway package --help", exit_code=2)


def _task(text: str | None) -> Any:
    if text in {None, "classification", "regression", "other"}:
        return text
    raise SlipwayError("usage", f"--task: expected classification, regression or other, got {text!r}", exit_code=2)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if key and equals and value:
        return key, value
    raise SlipwayError("usage", f"expected NAME=VALUE, got {text!r}", "see: slipway package --help", exit_code=2)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SlipwayError("usage", f"--metric {name}: expected a number, got {text!r}", exit_code=2) from None


def _missing(rule: str) -> "Missing":
    from serving.manifest import Missing

    if rule in {"reject", "nan"}:
        return Missing(rule="nan" if rule == "nan" else "reject")
    if rule.startswith("fill:"):
        text = rule.removeprefix("fill:")
        try:
            return Missing(rule="fill", value=float(text))
        except ValueError:
            return Missing(rule="fill", value=text)
    raise SlipwayError("usage", f"--missing: expected reject, nan or fill:VALUE, got {rule!r}", exit_code=2)


def _text_of(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SlipwayError("no-such-file", f"--environment {path}: {error}", exit_code=2) from error


def _row(text: str | None) -> "dict[str, Scalar] | None":
    import json

    if text is None:
        return None
    try:
        row = json.loads(text)
    except ValueError as error:
        raise SlipwayError("usage", f"--golden: not JSON: {error}", exit_code=2) from error
    if (found := as_object(row)) is not None:
        return found
    raise SlipwayError("usage", "--golden: expected one row, {feature: value, …}", exit_code=2)
