"""`trader risk simulate`: Monte Carlo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from trader.cli.common import ConfigOption, JsonOption, SetOption, err, out, print_json, read_settings
from trader.cli.risk.common import PricesOption, ReturnsOption, WeightsOption, open_portfolio
from trader.cli.risk.ray import RayOption, may_use_ray, ray_cluster

if TYPE_CHECKING:
    from risk.simulation import SimulationPlan, SimulationResult
    from trader.settings import Settings

__all__ = ["register"]

_LARGE = 5_000_000_000
"""Random numbers from which on `--ray auto` starts a cluster: about a minute of one core."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("simulate", help=simulate.__doc__)(simulate)


def simulate(
    returns: ReturnsOption = None,
    prices: PricesOption = None,
    weights: WeightsOption = None,
    model: Annotated[str, typer.Option("--model", help="normal, t or bootstrap.")] = "normal",
    paths: Annotated[int, typer.Option("--paths", help="10000 to 100000000, say.")] = 100_000,
    horizon: Annotated[int, typer.Option("--horizon", help="Periods that a path lasts.")] = 10,
    level: Annotated[list[float] | None, typer.Option("--level", help="Confidence; may be given again.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Fixes the result, whatever computes it.")] = 0,
    sampling: Annotated[str, typer.Option("--sampling", help="plain, antithetic or sobol.")] = "plain",
    holding: Annotated[
        str, typer.Option("--holding", help="rebalanced each period, or held: positions drift.")
    ] = "rebalanced",
    dtype: Annotated[str, typer.Option("--dtype", help="float32 or float64.")] = "float32",
    degrees: Annotated[float | None, typer.Option("--degrees", help="Of the t; fitted if left out.")] = None,
    block: Annotated[float, typer.Option("--block", help="Mean periods of a bootstrap's block.")] = 10.0,
    drift: Annotated[bool, typer.Option("--drift", help="Keep the sample's mean return.")] = False,
    ray: RayOption = "auto",
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Simulate a portfolio's paths: VaR, ES and drawdown at a horizon.

    Example: trader risk simulate --model t --paths 1000000 --horizon 10 --level .99
    """
    from risk.simulation import SimulationSpec, plan_simulation

    settings = read_settings(None, config, assignments)
    panel, chosen = open_portfolio(returns, prices, weights)
    spec = SimulationSpec(
        model=model,
        n_paths=paths,
        horizon=horizon,
        levels=tuple(level or (0.95, 0.99)),
        seed=seed,
        dtype=dtype,
        sampling=sampling,
        holding=holding,
        drift=drift,
        degrees=degrees,
        block=block,
    )
    plan = plan_simulation(panel, chosen, spec)
    result = _run(plan, settings, ray)
    if as_json:
        print_json(result.to_dict())
    else:
        _show(result)


def _run(plan: SimulationPlan, settings: Settings, ray: str) -> SimulationResult:
    from risk.simulation import run_plan

    numbers = plan.spec.n_paths * plan.spec.horizon * len(plan.weights)
    with Progress(console=err, transient=True, disable=numbers < _LARGE // 50) as progress:
        task = progress.add_task("paths", total=plan.spec.n_paths)

        def on_paths(done: int) -> None:
            progress.update(task, completed=done)

        if not may_use_ray(ray, large=numbers >= _LARGE):
            return run_plan(plan, on_paths)
        with ray_cluster(settings, ray):
            from trader.runtime.simulation import simulate_on_ray

            return simulate_on_ray(plan, on_paths=on_paths)


def _show(result: SimulationResult) -> None:
    spec = result.spec
    kind = f"t with {result.degrees:.1f} degrees" if spec.model == "t" else spec.model
    table = Table("level", "VaR", "95 % interval", "ES", "drawdown", "mean beyond")
    table.title = f"{spec.n_paths:,} paths of {spec.horizon} periods, {kind}, {spec.holding}"
    for found in result.figures:
        table.add_row(
            f"{found.level:.4g}",
            f"{found.var:.3%}",
            f"{found.var_low:.3%} to {found.var_high:.3%}",
            f"{found.es:.3%}",
            f"{found.drawdown:.3%}",
            f"{found.drawdown_es:.3%}",
        )
    out.print(table)
    out.print(
        f"Loss: mean {result.mean:.3%}, standard deviation {result.deviation:.3%}, worst {result.worst:.2%}; "
        f"drawdown: mean {result.mean_drawdown:.3%}, worst {result.worst_drawdown:.2%}; "
        f"estimated from {result.n_observations:,} periods",
        highlight=False,
    )
    for warning in result.warnings:
        err.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)
