"""`trader risk`: what a portfolio could lose, why, and whether the figures can be believed."""

import typer

from trader.cli.risk import anomalies, correlation, exposure, greeks, report, simulate, stress, tail, validate, var

__all__ = ["app"]

app = typer.Typer(help="What could be lost, why, and whether the figures can be believed.", no_args_is_help=True)
anomalies.register(app)
correlation.register(app)
exposure.register(app)
greeks.register(app)
report.register(app)
simulate.register(app)
stress.register(app)
tail.register(app)
validate.register(app)
var.register(app)
