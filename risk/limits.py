"""Limits on value at risk and expected shortfall, for orders that have passed all other rules."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from risk.kernels import reduces, worse
from risk.results import RiskEstimate
from risk.watch import RiskView
from trader.core.errors import DataError
from trader.core.orders import DenialReason, OrderBatch
from trader.settings.sections import GateSettings

__all__ = ["RiskBook", "RiskLimits", "Verdict"]

FloatArray = NDArray[np.float64]
Verdict = tuple[DenialReason, float, float]
"""Why an order is refused, what was measured, and the limit."""


class RiskLimits:
    """Refuses orders that lead to more risk than is allowed.

    An order is measured as if all working orders and those that passed were filled: its portfolio's returns over the
    bars of the view, by the method of the settings. It is refused if a measure is beyond its limit and larger than it
    was; if the view is older than `max_risk_age_s`; or if the names held have fewer than `min_var_bars` bars behind
    them, so that nothing can be told. What reduces a position passes.

    Parameters
    ----------
    settings : GateSettings
    """

    def __init__(self, settings: GateSettings) -> None:
        self.active = settings.max_var is not None or settings.max_es is not None
        """Whether there is a limit at all."""
        self._settings = settings
        self._max_var = np.inf if settings.max_var is None else settings.max_var
        self._max_es = np.inf if settings.max_es is None else settings.max_es
        self._max_age_s = np.inf if settings.max_risk_age_s is None else settings.max_risk_age_s

    def book(
        self,
        view: RiskView,
        *,
        ts_ns: int,
        positions: FloatArray,
        open_quantity: FloatArray,
        prices: FloatArray,
        equity: float,
    ) -> RiskBook:
        """Return what orders of one decision are judged on; arguments as in `RiskGate.check`."""
        return RiskBook(self, view, ts_ns, positions, open_quantity, prices, equity)

    def measure(self, returns: FloatArray) -> RiskEstimate | None:
        """Return the risk of a portfolio with returns (n_bars,); None where it cannot be told."""
        # Not above: they reach for scipy, which whoever limits no risk can do without.
        from risk.var.methods import estimate_sample
        from risk.var.sample import Sample

        if len(returns) < self._settings.min_var_bars:
            return None
        try:
            return estimate_sample(Sample.of_series(returns), self._settings.var_method, self._settings.var_level)
        except DataError:
            # A portfolio that holds nothing does not vary, and nothing can be fitted to it: it has no risk.
            return _NOTHING if not returns.any() else None

    def refusal(self, before: RiskEstimate | None, after: RiskEstimate | None, n_bars: int) -> Verdict | None:
        """Return why going from one risk to another is refused, or None; the latter is told from `n_bars` bars."""
        if before is None or after is None:
            return DenialReason.UNKNOWN_RISK, float(n_bars), float(self._settings.min_var_bars)
        if worse(before.var, after.var, self._max_var):
            return DenialReason.VAR_LIMIT, after.var, self._max_var
        if worse(before.es, after.es, self._max_es):
            return DenialReason.ES_LIMIT, after.es, self._max_es
        return None

    def too_old(self, view: RiskView, ts_ns: int) -> Verdict | None:
        """Return why a view cannot be used at a time, or None."""
        age_s = (ts_ns - view.ts_ns) / 1e9
        return (DenialReason.STALE_RISK, age_s, self._max_age_s) if age_s > self._max_age_s else None


class RiskBook:
    """The portfolio as it becomes while the orders of one decision pass; made by `RiskLimits.book`."""

    def __init__(
        self,
        limits: RiskLimits,
        view: RiskView,
        ts_ns: int,
        positions: FloatArray,
        open_quantity: FloatArray,
        prices: FloatArray,
        equity: float,
    ) -> None:
        self._limits = limits
        self._prices = prices
        self._equity = equity
        self._held = positions.copy()
        self._exposure = positions + open_quantity
        self._unusable = limits.too_old(view, ts_ns)
        returns = view.returns
        # Only what comes before a symbol's second price is missing: its history ends with the others'.
        self._n_known = np.isfinite(returns).sum(axis=0)
        self._returns = np.nan_to_num(returns)
        held = self._exposure != 0.0
        weights = np.nan_to_num(self._exposure * prices / equity) if equity > 0.0 else np.zeros(len(prices))
        self._n_bars = int(min(self._n_known[held], default=len(returns)))
        self._series: FloatArray = self._returns @ weights
        self._risk = limits.measure(self._series[len(returns) - self._n_bars :])

    def judge(self, orders: OrderBatch, row: int) -> Verdict | None:
        """Return why an order is refused; one that is not changes the portfolio that the next ones meet."""
        s = int(orders.symbol_id[row])
        signed = float(orders.side[row]) * float(orders.quantity[row])
        reducing = reduces(self._held[s], signed) and reduces(self._exposure[s], signed)
        if not reducing and self._unusable is not None:
            return self._unusable
        series, n_bars = self._series, min(self._n_bars, int(self._n_known[s]))
        if self._equity > 0.0:
            series = series + signed * self._prices[s] / self._equity * self._returns[:, s]
        risk = self._limits.measure(series[len(series) - n_bars :])
        refusal = None if reducing else self._limits.refusal(self._risk, risk, n_bars)
        if refusal is None:
            self._held[s] += signed
            self._exposure[s] += signed
            self._series, self._n_bars, self._risk = series, n_bars, risk
        return refusal


_NOTHING = RiskEstimate("none", 0.99, 1, "none", 0, 0.0, 0.0)
