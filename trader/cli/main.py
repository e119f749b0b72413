"""Entry point: registers the commands, and turns errors into one line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from trader import __version__
from trader.cli import (
    audit,
    control,
    data,
    doctor,
    experiments,
    feeds,
    guards,
    labels,
    models,
    nbbo,
    panel,
    risk,
    run,
    runs,
    serve,
    tape,
    tune,
    vpin,
)
from trader.cli.common import err
from trader.core.errors import TraderError

__all__ = ["app", "main"]

app = typer.Typer(
    name="trader",
    help="An autonomous trading platform on Ray. Paper trading only; not investment advice.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
run.register(app)
control.register(app)
runs.register(app)
doctor.register(app)
guards.register(app)
labels.register(data.app)
panel.register(data.app)
nbbo.register(data.app)
tape.register(data.app)
vpin.register(data.app)
app.add_typer(data.app, name="data")
app.add_typer(feeds.app, name="feeds")
app.add_typer(models.app, name="models")
app.add_typer(experiments.app, name="experiments")
app.add_typer(risk.app, name="risk")
app.add_typer(audit.app, name="audit")
app.add_typer(serve.app, name="serve")
app.add_typer(tune.app, name="tune")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    if debug:
        os.environ["TRADER_DEBUG"] = "1"


def main() -> None:
    """Run the command line; exit 0 done, 1 failed, 2 bad usage, 130 interrupted."""
    try:
        app()
    except TraderError as error:
        _fail(error, error.exit_code)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - the last line of defence: one line, not a traceback
        _fail(error, 1)


def _fail(error: Exception, code: int) -> None:
    if "TRADER_DEBUG" in os.environ:
        raise error
    text = " ".join(str(error).split()) or type(error).__name__
    prefix = "error" if isinstance(error, TraderError) else f"error: unexpected {type(error).__name__}"
    err.print(f"{prefix}: {text}", markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)
