"""`trader models export`: a model as files of its own, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from trader.cli.common import ConfigOption, JsonOption, PresetOption, SetOption, out, print_json
from trader.cli.models.common import StoreOption, open_registry
from trader.core.errors import DataError

if TYPE_CHECKING:
    from trader.core.protocols import Model

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export", help=export.__doc__)(export)


def export(
    ref: Annotated[
        str,
        typer.Argument(metavar="REF", help="As for show; or the folder of a saved model, e.g. runs/…/linear@1.0.0."),
    ],
    target: Annotated[Path, typer.Option("--out", help="New file (onnx) or folder (files).")],
    form: Annotated[
        Literal["onnx", "files"],
        typer.Option("--format", help="onnx: a graph, checked against the model; files: what the registry keeps."),
    ] = "onnx",
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a model to files of its own; nothing is overwritten.

    Example: trader models export boosting@champion --format onnx --out boosting.onnx
    """
    from trader.models.base import load_model

    folder = Path(ref)
    difference: float | None = None
    if len(folder.parts) > 1 or folder.is_dir():
        if form == "files":
            raise DataError(f"{folder} is a folder of files already; --format onnx makes something else of it")
        name, difference = str(folder), _save_onnx(load_model(folder), target, "")
    else:
        with open_registry(preset, config, assignments, store) as (registry, _):
            version = registry.resolve(ref)
            name = version.ref
            if form == "files":
                registry.export(version, target)
            else:
                difference = _save_onnx(registry.load(version), target, version.version)
    if as_json:
        print_json({"model": name, "format": form, "path": target, "difference": difference})
        return
    checked = "" if difference is None else f"; onnxruntime agrees to {difference:.1g} of the largest value"
    out.print(f"{name} exported to {target}{checked}")


def _save_onnx(model: Model, target: Path, version: str) -> float:
    from trader.models.onnx import save_onnx

    return save_onnx(model, target, version=version)
