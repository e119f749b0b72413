"""`trader risk var`: value at risk and expected shortfall by every method, and where they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from trader.cli.common import JsonOption, err, out, print_json
from trader.cli.risk.common import LevelOption, PricesOption, ReturnsOption, WeightsOption, open_portfolio

if TYPE_CHECKING:
    from risk.results import RiskEstimate
    from risk.var.decomposition import Contributions
    from risk.var.sample import Sample

__all__ = ["register", "split_names"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("var", help=var.__doc__)(var)


def var(
    returns: ReturnsOption = None,
    prices: PricesOption = None,
    weights: WeightsOption = None,
    level: LevelOption = 0.99,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", help="all, or names as the table shows them; may be given again, or with commas."),
    ] = None,
    horizon: Annotated[int, typer.Option("--horizon", help="Periods ahead.")] = 1,
    scaling: Annotated[
        str, typer.Option("--scaling", help="How a horizon above 1 is reached: sqrt, overlapping or simulated.")
    ] = "sqrt",
    window: Annotated[
        int | None, typer.Option("--window", min=1, help="Use the newest periods only; default: all there are.")
    ] = None,
    covariance: Annotated[
        str, typer.Option("--covariance", help="Of normal: sample, ewma, ledoit_wolf or denoised.")
    ] = "sample",
    components: Annotated[
        str | None, typer.Option("--components", help="Method whose figures are split; default: the first.")
    ] = None,
    paths: Annotated[int, typer.Option("--paths", help="Of Monte Carlo and simulated horizons.")] = 100_000,
    seed: Annotated[int, typer.Option("--seed", help="Of the same.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Estimate value at risk and expected shortfall of a portfolio, and what each asset adds to them.

    Example: trader risk var --returns returns.csv --weights w.csv --level .99 --method all --horizon 10
    """
    from risk.results import check_horizon, check_level
    from risk.var.decomposition import contributions
    from risk.var.methods import METHODS, choose_methods
    from risk.var.sample import Sample
    from trader.core.errors import DataError

    panel, chosen = open_portfolio(returns, prices, weights)
    asked = split_names(method)
    names = choose_methods(asked)
    split = choose_methods([components])[0] if components not in (None, "all") else names[0]
    check_level(level)
    check_horizon(horizon, scaling)
    sample = Sample(
        panel if window is None else panel.last(window),
        chosen,
        covariance_method=covariance,
        n_paths=paths,
        seed=seed,
    )
    estimates, refused = _estimate(sample, names, level, horizon, scaling, strict=bool(asked) and "all" not in asked)
    try:
        parts = contributions(sample, split, level)
    except DataError as error:
        if components is not None:
            raise
        parts, refused = None, refused | {"components": str(error)}
    if as_json:
        content: dict[str, Any] = {"estimates": [found.to_dict() for found in estimates], "refused": refused}
        print_json(content | {"contributions": None if parts is None else parts.to_dict(), "dropped": panel.dropped})
        return
    _show(estimates, {name: METHODS[name].summary for name in names})
    if parts is not None:
        _show_parts(parts)
    for found in estimates:
        for warning in found.warnings:
            err.print(f"warning: {found.method}: {warning}", style="yellow", markup=False, highlight=False)
    for name, reason in refused.items():
        err.print(f"warning: {name} left out: {reason}", style="yellow", markup=False, highlight=False)
    if panel.dropped:
        err.print(f"{panel.dropped} incomplete periods were left out", highlight=False)


def split_names(given: list[str] | None) -> list[str]:
    """Return names that were given one by one or with commas between them."""
    return [name.strip() for text in given or () for name in text.split(",") if name.strip()]


def _estimate(
    sample: Sample, names: tuple[str, ...], level: float, horizon: int, scaling: str, *, strict: bool
) -> tuple[list[RiskEstimate], dict[str, str]]:
    """Return estimates, and why a method gave none; a method asked for by name must give one."""
    from risk.var.methods import estimate_sample
    from trader.core.errors import DataError

    estimates, refused = [], {}
    with Progress(console=err, transient=True, disable=len(names) < 3) as progress:
        task = progress.add_task("methods", total=len(names))
        for name in names:
            try:
                estimates.append(estimate_sample(sample, name, level, horizon, scaling))
            except DataError as error:
                if strict:
                    raise
                refused[name] = str(error)
            progress.advance(task)
    return estimates, refused


def _show(estimates: list[RiskEstimate], summaries: dict[str, str]) -> None:
    if not estimates:
        return
    first = estimates[0]
    over = "next period" if first.horizon == 1 else f"next {first.horizon} periods"
    table = Table("method", title=f"Loss over the {over} at {first.level:.4g}")
    for name in ("VaR", "ES", "scaling", "periods"):
        table.add_column(name, justify="left" if name == "scaling" else "right")
    table.add_column("how")
    for found in estimates:
        table.add_row(
            found.method,
            f"{found.var:.3%}",
            f"{found.es:.3%}",
            found.scaling,
            f"{found.n_observations:,}",
            summaries[found.method],
        )
    out.print(table)


def _show_parts(parts: Contributions) -> None:
    table = Table("asset", title=f"What assets add to {parts.estimate.method}, one period")
    for name in ("weight", "VaR", "share", "ES", "share", "marginal VaR", "alone VaR"):
        table.add_column(name, justify="right")
    for i in sorted(range(len(parts.names)), key=lambda i: -float(parts.component_es[i])):
        table.add_row(
            parts.names[i],
            f"{parts.weights[i]:.2%}",
            f"{parts.component_var[i]:.3%}",
            _share(float(parts.component_var[i]), parts.estimate.var),
            f"{parts.component_es[i]:.3%}",
            _share(float(parts.component_es[i]), parts.estimate.es),
            f"{parts.marginal_var[i]:.3%}",
            f"{parts.standalone_var[i]:.3%}",
        )
    table.add_section()
    whole, alone = parts.estimate, float(parts.standalone_var.sum())
    table.add_row(
        "all", f"{parts.weights.sum():.2%}", f"{whole.var:.3%}", "", f"{whole.es:.3%}", "", "", f"{alone:.3%}"
    )
    out.print(table)
    out.print(f"Components: {parts.allocation}", highlight=False, markup=False, style="dim")


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole > 0.0 else "–"
