"""`trader risk tail`: losses rarer than the past holds, and losses that come together."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from trader.cli.common import JsonOption, err, out, print_json
from trader.cli.risk.common import PricesOption, ReturnsOption, WeightsOption, open_portfolio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from risk.panel import ReturnPanel

__all__ = ["register"]

_LEVELS = (0.99, 0.995, 0.999, 0.9999)
_PAIRS = 5


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tail", help=tail.__doc__)(tail)


def tail(
    returns: ReturnsOption = None,
    prices: PricesOption = None,
    weights: WeightsOption = None,
    level: Annotated[list[float] | None, typer.Option("--level", help="Confidence; may be given again.")] = None,
    fraction: Annotated[
        float | None,
        typer.Option("--fraction", help="Share of losses in the tail; default: the largest that a test allows."),
    ] = None,
    confidence: Annotated[float, typer.Option("--confidence", help="Of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option("--seed", help="Of the simulated p-values.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Fit the tail of a portfolio's losses, and count which assets fall together.

    Example: trader risk tail --returns returns.csv --weights w.csv --level .999
    """
    panel, chosen = open_portfolio(returns, prices, weights)
    with err.status("fitting tails"):
        content = _measure(panel, -panel.portfolio(chosen), tuple(level or _LEVELS), fraction, confidence, seed)
    if as_json:
        print_json(content)
    else:
        _show(content)


def _measure(
    panel: ReturnPanel,
    losses: NDArray[np.float64],
    levels: tuple[float, ...],
    fraction: float | None,
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    from risk.tail.diagnostics import choose_fraction, goodness, stability
    from risk.tail.gpd import fit_tail
    from risk.tail.hill import hill
    from risk.tail.intervals import tail_interval

    if fraction is None:
        fraction, test = choose_fraction(losses, min(levels), seed=seed)
        fitted = fit_tail(losses, fraction)
    else:
        fitted = fit_tail(losses, fraction)
        test = goodness(losses, fitted, seed=seed)
    power = hill(losses, confidence=confidence)
    rows = []
    for at in levels:
        quantile = tail_interval(losses, fitted, at, "quantile", confidence)
        shortfall = tail_interval(losses, fitted, at, "shortfall", confidence)
        in_power = (1.0 - at) * power.n_observations <= power.n_used
        rows.append(
            {
                "level": at,
                "var": dataclasses.asdict(quantile),
                "es": dataclasses.asdict(shortfall),
                "hill_var": power.quantile(at) if in_power else math.nan,
                "hill_es": power.shortfall(at) if in_power else math.nan,
                "periods_beyond": (1.0 - at) * losses.size,
            }
        )
    return {
        "n_observations": losses.size,
        "fraction": fraction,
        "gpd": dataclasses.asdict(fitted),
        "goodness": dataclasses.asdict(test),
        "stability": [dataclasses.asdict(row) for row in stability(losses, min(levels))],
        "hill": dataclasses.asdict(power),
        "levels": rows,
        "dependence": _dependence(panel),
        "warnings": [*fitted.warnings, *power.warnings],
    }


def _dependence(panel: ReturnPanel) -> list[dict[str, Any]]:
    """Return the pairs whose worst periods coincide most, with the t copula's limit."""
    import numpy as np

    from risk.tail.dependence import fit_t_copula, tail_dependence

    if panel.n_assets < 2 or panel.n_periods < 200:
        return []
    lower, upper = tail_dependence(panel.returns), tail_dependence(panel.returns, upper=True)
    first, second = np.triu_indices(panel.n_assets, 1)
    rows = []
    for place in np.argsort(-lower[first, second], kind="stable")[:_PAIRS].tolist():
        i, j = int(first[place]), int(second[place])
        copula = fit_t_copula(panel.returns[:, i], panel.returns[:, j])
        rows.append(
            {
                "assets": [panel.names[i], panel.names[j]],
                "lower": float(lower[i, j]),
                "upper": float(upper[i, j]),
                "copula": dataclasses.asdict(copula) | {"dependence": copula.dependence},
            }
        )
    return rows


def _show(content: dict[str, Any]) -> None:
    gpd, test, power = content["gpd"], content["goodness"], content["hill"]
    share = content["levels"][0]["var"]["confidence"]
    table = Table("level", "periods beyond", title=f"Losses beyond the sample, {share:.0%} intervals")
    for name in ("VaR", "from", "to", "ES", "from", "to", "Hill VaR"):
        table.add_column(name, justify="right")
    for row in content["levels"]:
        figures = (row[figure][part] for figure in ("var", "es") for part in ("estimate", "low", "high"))
        table.add_row(
            f"{row['level']:.6g}",
            f"{row['periods_beyond']:.1f}",
            *(f"{value:.2%}" for value in figures),
            "–" if math.isnan(row["hill_var"]) else f"{row['hill_var']:.2%}",
        )
    out.print(table)
    out.print(
        f"GPD: shape {gpd['shape']:.3f}, scale {gpd['scale']:.4f}, {gpd['n_exceedances']} of {gpd['n_observations']} "
        f"losses beyond {gpd['threshold']:.2%}; p-values: Anderson-Darling {test['ad_p']:.2f}, "
        f"Kolmogorov-Smirnov {test['ks_p']:.2f}\n"
        f"Hill: shape {power['shape']:.3f} ({power['low']:.3f} to {power['high']:.3f}) of the {power['n_used']} worst; "
        f"{power['corrected']:.3f} without its trend",
        highlight=False,
    )
    stable = Table("tail", "threshold", "shape", "error", "VaR", "ES", title="The same from other thresholds")
    for row in content["stability"]:
        stable.add_row(
            f"{row['fraction']:.1%}",
            f"{row['tail']['threshold']:.2%}",
            f"{row['tail']['shape']:.3f}",
            f"{row['shape_error']:.3f}",
            f"{row['quantile']:.2%}",
            f"{row['shortfall']:.2%}",
        )
    out.print(stable)
    if content["dependence"]:
        pairs = Table("assets", "falls", "rises", "t copula", "df", title="Worst 5 % of days in common")
        for row in content["dependence"]:
            pairs.add_row(
                " ".join(row["assets"]),
                f"{row['lower']:.0%}",
                f"{row['upper']:.0%}",
                f"{row['copula']['dependence']:.0%}",
                f"{row['copula']['df']:.1f}",
            )
        out.print(pairs)
    for warning in content["warnings"]:
        err.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)
