"""What trading did: costs, traded value, exposure, and what each name earned."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trader.core.orders import FillBatch

__all__ = ["Costs", "Exposure", "cost_breakdown", "exposure", "exposure_summary", "holding_values", "pnl_by_symbol"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Costs:
    """What trading cost, in currency and relative to what was traded and earned.

    Parameters
    ----------
    commission, spread, impact : float
        In currency. Commission is charged to cash; spread and impact were paid inside the prices.
    total : float
        Their sum.
    traded_value : float
        Sum of quantity times price over all fills, both sides.
    bps_of_traded : float
        Total cost per traded value, in basis points; NaN without a fill.
    share_of_gross : float
        Total cost over the P&L before costs; NaN unless that P&L is above 0.
    """

    commission: float
    spread: float
    impact: float
    total: float
    traded_value: float
    bps_of_traded: float
    share_of_gross: float


@dataclasses.dataclass(frozen=True, slots=True)
class Exposure:
    """Fractions of equity, over the instants at which they are known; NaN when there is none.

    Parameters
    ----------
    gross_mean, gross_max : float
        Sum of absolute weights.
    net_mean : float
        Sum of signed weights.
    invested : float
        Share of the instants with any holding.
    """

    gross_mean: float
    gross_max: float
    net_mean: float
    invested: float


def cost_breakdown(fills: FillBatch, net_pnl: float) -> Costs:
    """Return the costs of the fills of a run that earned `net_pnl` (currency, after costs)."""
    commission = float(fills.commission.sum())
    spread = float(fills.spread_cost.sum())
    impact = float(fills.impact_cost.sum())
    total = commission + spread + impact
    traded = float((fills.quantity * fills.price).sum())
    gross_pnl = net_pnl + total
    return Costs(
        commission=commission,
        spread=spread,
        impact=impact,
        total=total,
        traded_value=traded,
        bps_of_traded=1e4 * total / traded if traded > 0 else float("nan"),
        share_of_gross=total / gross_pnl if gross_pnl > 0 else float("nan"),
    )


def holding_values(positions: FloatArray, prices: FloatArray) -> FloatArray:
    """Return units times price in currency, shape of both; 0 where nothing is held, whatever the price.

    A holding without a known price (NaN) has an unknown value, NaN.
    """
    return np.where(positions == 0.0, 0.0, positions * prices)


def exposure(positions: FloatArray, prices: FloatArray, equity: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return gross and net exposure as fractions of equity, each of shape (n_instants,).

    Parameters
    ----------
    positions, prices : ndarray of shape (n_instants, n_symbols)
    equity : ndarray of shape (n_instants,)
        Instants at which it is not above 0 have no weights: NaN.
    """
    values = holding_values(positions, prices)
    base = np.where(equity > 0.0, equity, np.nan)
    return np.abs(values).sum(axis=1) / base, values.sum(axis=1) / base


def exposure_summary(gross: FloatArray, net: FloatArray) -> Exposure:
    """Return the averages of what `exposure` returned."""
    known = np.isfinite(gross)
    if not known.any():
        return Exposure(float("nan"), float("nan"), float("nan"), float("nan"))
    gross = gross[known]
    return Exposure(float(gross.mean()), float(gross.max()), float(net[known].mean()), float(np.mean(gross > 0.0)))


def pnl_by_symbol(fills: FillBatch, final_positions: FloatArray, final_prices: FloatArray) -> FloatArray:
    """Return what each name earned after costs, in currency, shape (n_symbols,).

    The sum is the P&L of a run that began without holdings: value of what is left, less what was paid for it,
    plus what was received, less commissions.
    """
    n_symbols = final_positions.size
    paid = np.bincount(
        fills.symbol_id,
        weights=fills.side * fills.quantity * fills.price + fills.commission,
        minlength=n_symbols,
    )
    pnl: FloatArray = holding_values(final_positions, final_prices) - paid
    return pnl
