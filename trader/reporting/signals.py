"""How good the scores of a run were, judged by what the models had been trained to predict."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trader.models.targets import scaled_target
from trader.reporting.run_data import RunData, setting
from trader.validation.ic import ICSummary, ic_summary, information_coefficient

__all__ = ["SignalQuality", "signal_quality"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class SignalQuality:
    """Scores beside outcomes.

    Parameters
    ----------
    horizon : int
        Bars that the target looks ahead, counted from the first price a decision can trade at.
    outcome : ndarray of shape (n_decisions, n_symbols)
        Returns over the horizon in units of volatility, less their mean over the names; NaN where unknown.
    ic : ndarray of shape (n_decisions,)
        Rank correlation of the ensemble's scores with them.
    summary : ICSummary or None
        Of `ic`, allowing for the overlap of the horizon; None without a single value.
    members : mapping of str to float
        Mean rank IC of each member, by `name@version`.
    """

    horizon: int
    outcome: FloatArray
    ic: FloatArray
    summary: ICSummary | None
    members: Mapping[str, float]


def signal_quality(data: RunData) -> SignalQuality:
    """Judge the scores of a run by the target its models had; no decision gives no summary."""
    table = data.decisions
    horizon = int(setting(data.record, "models", "horizon", 1))
    outcome = scaled_target(table.prices, horizon) if len(table) else table.prices
    ic = information_coefficient(table.score, outcome)
    return SignalQuality(
        horizon=horizon,
        outcome=outcome,
        ic=ic,
        summary=ic_summary(ic, lags=horizon) if np.isfinite(ic).any() else None,
        members={
            name: ic_summary(information_coefficient(score, outcome)).mean for name, score in table.members.items()
        },
    )
