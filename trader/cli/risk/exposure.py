"""`trader risk exposure`: how much is held of what, how concentrated, and how fast it could be sold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from trader.cli.common import ConfigOption, JsonOption, SetOption, out, print_json, read_settings
from trader.cli.risk.common import PricesOption, ReturnsOption, open_portfolio
from trader.cli.risk.portfolio import portfolio_weights
from trader.core.errors import UserError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("exposure", help=exposure.__doc__)(exposure)


def exposure(
    portfolio: Annotated[
        str | None, typer.Option("--portfolio", metavar="RUN_ID|FILE", help="Of weights; default: equal weights.")
    ] = None,
    returns: ReturnsOption = None,
    prices: PricesOption = None,
    groups: Annotated[
        Path | None, typer.Option("--groups", help="CSV: asset, and a column a grouping (sector, currency, …).")
    ] = None,
    factors: Annotated[
        Path | None, typer.Option("--factors", help="CSV or Parquet of factor returns; default: the S&P 500.")
    ] = None,
    volumes: Annotated[
        Path | None, typer.Option("--volumes", help="CSV with columns asset and volume: value traded a day.")
    ] = None,
    value: Annotated[float | None, typer.Option("--value", help="Of the portfolio, for --volumes.")] = None,
    participation: Annotated[
        float, typer.Option("--participation", help="Share of the volume that may be ours.")
    ] = 0.1,
    covariance: Annotated[str, typer.Option("--covariance", help="sample, ewma, ledoit_wolf or denoised.")] = "sample",
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show gross and net exposure by group, loadings on factors, concentration and days to liquidate.

    Example: trader risk exposure --portfolio weights.csv --prices prices.csv --groups sectors.csv --factors factors.csv
    """
    import numpy as np

    from risk.covariance import covariance as estimate
    from risk.exposure.concentration import concentration
    from risk.exposure.factors import factor_exposure
    from risk.exposure.holdings import exposure as sums
    from risk.exposure.holdings import exposure_by_group
    from risk.exposure.liquidity import liquidity
    from risk.files import read_groups, read_panel, read_weights
    from risk.panel import ReturnPanel
    from risk.stress import index_factor

    panel, weights = open_portfolio(returns, prices, None)
    if portfolio is not None:
        weights = panel.weights(portfolio_weights(portfolio, read_settings(None, config, assignments)))
    if (volumes is None) != (value is None):
        raise UserError("--volumes and --value are needed together: days to liquidate depend on both")
    if factors is None:
        index = index_factor()
        market = ReturnPanel.of(index.names, index.returns, index.days)
    else:
        market = read_panel(factors)
    found: dict[str, Any] = {
        "exposure": sums(weights).to_dict(),
        "concentration": concentration(weights, estimate(panel.returns, covariance)).to_dict(),
        "factors": factor_exposure(panel, weights, market).to_dict(),
    }
    if groups is not None:
        found["groups"] = {
            name: {group: part.to_dict() for group, part in exposure_by_group(weights, panel.names, members).items()}
            for name, members in read_groups(groups).items()
        }
    if volumes is not None and value is not None:
        traded = read_weights(volumes, "volume")
        daily = np.array([traded.get(name, 0.0) for name in panel.names])
        found["liquidity"] = liquidity(weights * value, daily, participation=participation).to_dict()
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(found: dict[str, Any]) -> None:
    held, spread = found["exposure"], found["concentration"]
    out.print(
        f"gross {held['gross']:.1%}, net {held['net']:+.1%}, long {held['long']:.1%}, short {held['short']:.1%}, "
        f"{held['n_assets']} assets; Herfindahl {spread['herfindahl']:.3f}, effective names "
        f"{spread['effective_names']:.1f}, effective bets {spread['effective_bets']:.1f}, "
        f"diversification ratio {spread['diversification_ratio']:.2f}",
        highlight=False,
    )
    for grouping, parts in found.get("groups", {}).items():
        table = Table(grouping, "gross", "net", "assets")
        for group, part in parts.items():
            table.add_row(group, f"{part['gross']:.1%}", f"{part['net']:+.1%}", str(part["n_assets"]))
        out.print(table)
    factors = found["factors"]
    table = Table("factor", "loading", "t", "share of variance", title=f"{factors['n_observations']:,} common days")
    for name, row in factors["factors"].items():
        table.add_row(name, f"{row['loading']:.3f}", f"{row['t_statistic']:.1f}", f"{row['variance_share']:.1%}")
    table.add_row("specific", "", "", f"{1 - factors['factor_share']:.1%}")
    out.print(table)
    if "liquidity" in found:
        sale = found["liquidity"]
        shares = ", ".join(f"{share:.0%} within {day}" for day, share in sale["sold_by_day"].items())
        out.print(f"days to liquidate: {sale['longest_days']:.1f} for the slowest; {shares} days", highlight=False)
