"""`trader tune`: searches over hyperparameters and strategies; the same as `python -m tune`."""

import typer

from trader.cli.tune import evolve, reports, search

__all__ = ["app"]

app = typer.Typer(help="Search hyperparameters and strategies; every trial is counted.", no_args_is_help=True)
search.register(app)
evolve.register(app)
reports.register(app)
