"""Options that the risk commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trader.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from risk.panel import ReturnPanel

__all__ = ["LevelOption", "PricesOption", "ReturnsOption", "WeightsOption", "open_portfolio"]

ReturnsOption = Annotated[
    Path | None,
    typer.Option("--returns", help="CSV or Parquet: a time column and one of simple returns an asset."),
]
PricesOption = Annotated[
    Path | None,
    typer.Option("--prices", help="The same with prices; without either: the demo's 20 stocks."),
]
WeightsOption = Annotated[
    Path | None,
    typer.Option("--weights", help="CSV or Parquet with columns asset and weight; default: equal weights."),
]
LevelOption = Annotated[float, typer.Option("--level", help="Confidence, e.g. .99.")]


def open_portfolio(
    returns: Path | None, prices: Path | None, weights: Path | None
) -> tuple[ReturnPanel, NDArray[np.float64]]:
    """Return the panel that the options name and the weights in its order.

    Raises
    ------
    UserError
        If both returns and prices are given, or a file cannot be used.
    """
    from risk.files import read_panel, read_weights

    if returns is not None and prices is not None:
        raise UserError("--returns and --prices are both given; one is allowed")
    file = returns or prices
    panel = demo_panel() if file is None else read_panel(file, prices=prices is not None)
    return panel, panel.weights(None if weights is None else read_weights(weights))


def demo_panel() -> ReturnPanel:
    """Return the daily returns of the demo's 20 stocks, 1990-2022."""
    from risk.panel import ReturnPanel
    from trader.data.datasets import sp500_bars

    bars, universe = sp500_bars()
    closes = bars.close.reshape(-1, len(universe.symbols))
    stamps = bars.ts_ns.reshape(closes.shape)[:, 0].astype("datetime64[ns]")
    return ReturnPanel.of_prices(universe.symbols, closes, stamps)
