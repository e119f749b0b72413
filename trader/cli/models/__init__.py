"""`trader models`: train, inspect, promote and take back models. Each module adds its commands."""

import typer

from trader.cli.models import decisions, explain, export, league, paths, registry, train, weights

__all__ = ["app"]

app = typer.Typer(help="Models: versions, their reports, and which of them trades.", no_args_is_help=True)
train.register(app)
registry.register(app)
decisions.register(app)
weights.register(app)
league.register(app)
paths.register(app)
export.register(app)
explain.register(app)
