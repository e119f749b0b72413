"""What scores would have earned: traded through the decision loop, after costs, without store or actors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.core.decision import DecisionBlock
from trader.core.errors import DataError
from trader.core.market import BarPanel
from trader.core.orders import FillBatch
from trader.models.targets import forward_returns
from trader.pipeline import DecisionLoop
from trader.portfolio.benchmarks import buy_and_hold
from trader.portfolio.performance import Performance, performance
from trader.settings import Settings

__all__ = ["BUY_AND_HOLD", "follow_scores", "trade_scores"]

FloatArray = NDArray[np.float64]

BUY_AND_HOLD = "buy and hold"
_BPS = 1e-4


def trade_scores(
    panel: BarPanel, scores: FloatArray, settings: Settings, *, n_trials: int = 1, n_resamples: int = 1000
) -> Performance:
    """Trade given scores with the sizing, costs and limits of the settings; the code is that of a run.

    Instants before the first score warm up the estimates of risk.

    Parameters
    ----------
    panel : BarPanel
        Bars of n_slices instants.
    scores : ndarray of shape (n_slices, n_symbols)
        Known at the close of each instant; NaN abstains.
    settings : Settings
    n_trials : int, default=1
        Strategies tried before this one was kept; deflates the Sharpe ratio.
    n_resamples : int, default=1000
        Of the bootstrap intervals.

    Raises
    ------
    DataError
        If the shapes differ or there is no score.
    """
    if scores.shape != panel.close.shape:
        raise DataError(f"scores have shape {scores.shape}; the panel needs {panel.close.shape}")
    scored = np.flatnonzero(np.isfinite(scores).any(axis=1))
    if not scored.size:
        raise DataError("scores hold no number; nothing can be traded")
    first, stop = int(scored[0]), int(scored[-1]) + 1
    blocks = follow_scores(panel, scores, settings, first, stop)
    costs = settings.execution
    prices = np.concatenate([block.prices for block in blocks])
    return performance(
        panel.ts_ns[first:stop],
        np.concatenate([block.equity for block in blocks]),
        positions=np.concatenate([block.positions for block in blocks]),
        prices=prices,
        fills=FillBatch.concat([block.fills for block in blocks]),
        score=scores[first:stop],
        outcome=forward_returns(panel.close, settings.models.horizon)[first:stop],
        periods_per_year=settings.sizing.bars_per_year,
        n_trials=n_trials,
        seed=settings.run.seed,
        n_resamples=n_resamples,
        benchmarks={
            BUY_AND_HOLD: buy_and_hold(
                prices,
                costs.initial_cash,
                cost_rate=(costs.half_spread_bps + costs.commission_bps) * _BPS,
            )
        },
    )


def follow_scores(
    panel: BarPanel, scores: FloatArray, settings: Settings, first: int, stop: int
) -> list[DecisionBlock]:
    """Return the decisions on the rows from `first` to before `stop`; those before warm up the estimates of risk."""
    loop = DecisionLoop(panel.n_symbols, sizing=settings.sizing, execution=settings.execution, gate=settings.risk)
    loop.warm_up(panel.rows(0, first))
    return list(loop.steps(0, panel.rows(first, stop), scores[first:stop], {}))
