"""The gate every order passes before it reaches a broker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk.kernels import LIMITS, MINUTE_NS, PASSED, GateArrays, forget_before, judge_orders, note_passed
from risk.limits import RiskLimits
from risk.losses import LossWatch
from risk.watch import RiskView, nothing_known
from trader.core.decision import StateChange
from trader.core.orders import DENIAL_REASONS, Denial, DenialReason, OrderBatch, TradingState
from trader.settings.sections import GateSettings

__all__ = ["RiskGate"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_NO_ORDERS = OrderBatch.empty()
_UNLIMITED = 2**62
_REDUCING_ONLY = DENIAL_REASONS.index(DenialReason.REDUCING_ONLY)
_SEVERITY = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}


class RiskGate:
    """Lets orders through or refuses them, one after the other: each that passes changes what the next one meets.

    An order *reduces* if it brings both the position, and the position with all working orders filled, nearer
    to zero without crossing it. Rules, in order:

    1. HALTED refuses all.
    2. The order itself: a positive quantity, a known price, not older than `max_data_age_s`, and a limit price
       within `price_collar` of it.
    3. REDUCING, or equity at or below zero, refuses what does not reduce.
    4. A reducing order meets no limit of exposure. Any other is refused if it takes a measure beyond its limit
       and further out than it was: weight of the name, gross, net, concentration. Weights are taken as if all
       working orders and those that passed were filled at the last prices.
    5. At most `max_orders_per_minute` pass within any 60 seconds of event time.
    6. With a limit on value at risk or expected shortfall, one that does not reduce is refused if it takes the risk of
       the next bar beyond it and further, or if risk was last looked at too long ago (`risk.limits`).

    The trading state becomes REDUCING when the loss since the previous day's last equity exceeds
    `max_daily_loss`, until the next day; and HALTED when the loss from the highest equity exceeds
    `max_drawdown`, until a person resumes. Whoever sets a looser state accepts the losses so far: both are
    measured from then on.

    Parameters
    ----------
    n_symbols : int
    settings : GateSettings
    day_start_ns : int, default=0
        When a day begins, in ns after midnight UTC.
    """

    def __init__(self, n_symbols: int, settings: GateSettings, *, day_start_ns: int = 0) -> None:
        self._n_symbols = n_symbols
        self._max_recent = _UNLIMITED if settings.max_orders_per_minute is None else settings.max_orders_per_minute
        self._limits = np.zeros(1, LIMITS)
        self._limits["position"] = _or_infinite(settings.max_position_weight)
        self._limits["gross"] = _or_infinite(settings.max_gross)
        self._limits["net"] = _or_infinite(settings.max_net)
        self._limits["herfindahl"] = _or_infinite(settings.max_herfindahl)
        self._limits["concentration_floor"] = settings.concentration_floor
        self._limits["price_collar"] = _or_infinite(settings.price_collar)
        self._limits["data_age_ns"] = _or_infinite(settings.max_data_age_s) * 1e9
        self._losses = LossWatch(
            _or_infinite(settings.max_daily_loss), _or_infinite(settings.max_drawdown), day_start_ns=day_start_ns
        )
        self._risk_limits = RiskLimits(settings)
        self._state = TradingState(settings.trading_state)
        self._cause: DenialReason | None = None
        self._recent: IntArray = np.empty((64, 2), np.int64)
        self._span: IntArray = np.zeros(3, np.int64)
        self._changes: list[StateChange] = []
        self._observed: tuple[int, float] | None = None

    @property
    def trading_state(self) -> TradingState:
        """What is let through now."""
        return self._state

    @property
    def at_ease(self) -> bool:
        """Whether it is ACTIVE with no change of state to report, and without limits that only `check` knows.

        `arrays` then say all, until a loss limit breaks.
        """
        return self._state is TradingState.ACTIVE and not self._changes and not self._risk_limits.active

    @property
    def drawdown(self) -> float:
        """Loss from the highest equity, as a fraction."""
        return self._losses.drawdown

    @property
    def limits_risk(self) -> bool:
        """Whether it limits value at risk or expected shortfall, so that `check` needs a view of risk."""
        return self._risk_limits.active

    def arrays(self, n_decisions: int) -> GateArrays:
        """Return what a compiled loop needs to judge the orders of up to `n_decisions` decisions while `at_ease`."""
        self._make_room(n_decisions)
        return GateArrays(self._limits, self._losses.record, self._recent, self._span, self._max_recent)

    def set_state(self, state: TradingState, who: str, why: str) -> None:
        """Set the trading state by hand; rules may tighten it again when losses grow further."""
        if _SEVERITY[state] < _SEVERITY[self._state]:
            self._losses.accept()
        self._change(state, who, why, None)

    def observe(self, ts_ns: int, equity: float) -> None:
        """Take note of the equity at an instant; may tighten the trading state, or loosen it on a new day."""
        if (ts_ns, equity) == self._observed:
            return
        self._observed = (ts_ns, equity)
        new_day = self._losses.update(ts_ns, equity)
        if new_day and self._cause is DenialReason.DAILY_LOSS:
            self._change(TradingState.ACTIVE, DenialReason.DAILY_LOSS.value, "a new day began", None)
        losses = self._losses
        if self._state is TradingState.ACTIVE and losses.too_much_in_a_day:
            why = f"lost {losses.daily_loss:.2%} of equity in a day; the limit is {losses.max_daily_loss:.2%}"
            self._change(TradingState.REDUCING, DenialReason.DAILY_LOSS.value, why, DenialReason.DAILY_LOSS)
        if self._state is not TradingState.HALTED and losses.too_far_from_peak:
            why = f"equity is {losses.drawdown:.2%} below its peak; the limit is {losses.max_drawdown:.2%}"
            self._change(TradingState.HALTED, DenialReason.DRAWDOWN.value, why, DenialReason.DRAWDOWN)

    def take_changes(self) -> tuple[StateChange, ...]:
        """Return the changes of state since the last call, and forget them."""
        if not self._changes:
            return ()
        changes = tuple(self._changes)
        self._changes.clear()
        return changes

    def check(
        self,
        orders: OrderBatch,
        *,
        ts_ns: int,
        positions: FloatArray,
        prices: FloatArray,
        price_ts_ns: IntArray,
        equity: float,
        open_quantity: FloatArray,
        view: RiskView | None = None,
    ) -> tuple[OrderBatch, tuple[Denial, ...]]:
        """Return the orders that pass, and why the others do not.

        Parameters
        ----------
        orders : OrderBatch
            Judged in the order given.
        ts_ns : int
            Time of the decision.
        positions : ndarray of shape (n_symbols,)
            Units held.
        prices : ndarray of shape (n_symbols,)
            Last prices; NaN where none is known.
        price_ts_ns : ndarray of shape (n_symbols,)
            When each became known.
        equity : float
            In currency.
        open_quantity : ndarray of shape (n_symbols,)
            Signed units still working.
        view : RiskView, optional
            What is known of risk; without one, a limit on it lets only reducing orders pass.
        """
        self.observe(ts_ns, equity)
        if not len(orders):
            return _NO_ORDERS, ()
        if self._state is TradingState.HALTED:
            return _NO_ORDERS, self._deny_all(orders)
        forget_before(self._recent, self._span, ts_ns - MINUTE_NS)
        book: dict[str, Any] = {
            "positions": positions,
            "open_quantity": open_quantity,
            "prices": prices,
            "equity": equity,
        }
        left = orders
        refused: list[Denial] = []
        codes, measured = self._judge(left, price_ts_ns, ts_ns, **book)
        if self._risk_limits.active:
            risk = self._risk_limits.book(view or nothing_known(len(prices)), ts_ns=ts_ns, **book)
            row = 0
            while row < len(left):
                refusal = risk.judge(left, row) if codes[row] == PASSED else None
                if refusal is None:
                    row += 1
                    continue
                refused.append(Denial(int(left.order_id[row]), int(left.symbol_id[row]), *refusal))
                # The orders after it meet the book without it.
                left = OrderBatch.from_records(np.delete(left.records(), row))
                codes, measured = self._judge(left, price_ts_ns, ts_ns, **book)
        n_passed = int(np.count_nonzero(codes == PASSED))
        if n_passed:
            self._make_room(1)
            note_passed(self._recent, self._span, ts_ns, n_passed)
        if n_passed == len(orders):
            return orders, ()
        passes = codes == PASSED
        refused += [
            self._denial(left, row, int(codes[row]), float(measured[0, row]), float(measured[1, row]))
            for row in np.flatnonzero(~passes).tolist()
        ]
        denials = tuple(sorted(refused, key=lambda denial: denial.order_id))
        # Records keep the memory layout that planned orders have: compiled code needs no second variant.
        return OrderBatch.from_records(left.records()[passes]) if n_passed else _NO_ORDERS, denials

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on, ready for JSON."""
        return {
            "trading_state": self._state.value,
            "cause": None if self._cause is None else self._cause.value,
            "recent": self._recent[self._span[0] : self._span[1]].tolist(),
            "changes": [[c.previous.value, c.current.value, c.who, c.why] for c in self._changes],
            "losses": self._losses.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._state = TradingState(state["trading_state"])
        self._cause = None if state["cause"] is None else DenialReason(state["cause"])
        recent = np.array(state["recent"], np.int64).reshape(-1, 2)
        self._span[:] = 0, 0, 0
        self._make_room(len(recent))
        self._recent[: len(recent)] = recent
        self._span[:] = 0, len(recent), recent[:, 1].sum()
        self._changes = [StateChange(TradingState(p), TradingState(c), w, y) for p, c, w, y in state["changes"]]
        self._losses.restore(state["losses"])
        self._observed = None

    def _judge(
        self,
        orders: OrderBatch,
        price_ts_ns: IntArray,
        ts_ns: int,
        *,
        positions: FloatArray,
        open_quantity: FloatArray,
        prices: FloatArray,
        equity: float,
    ) -> tuple[NDArray[np.int8], FloatArray]:
        """Return the code of each order, and what was measured with its limit, shape (2, n_orders)."""
        n_orders = len(orders)
        codes, measured = np.empty(n_orders, np.int8), np.empty((2, n_orders))
        judge_orders(
            orders.symbol_id,
            orders.side,
            orders.quantity,
            orders.kind,
            orders.limit_price,
            positions,
            open_quantity,
            prices,
            price_ts_ns,
            ts_ns,
            equity,
            self._state is TradingState.REDUCING,
            int(self._span[2]),
            self._max_recent,
            self._limits,
            codes,
            measured,
        )
        return codes, measured

    def _change(self, state: TradingState, who: str, why: str, cause: DenialReason | None) -> None:
        if state is not self._state:
            self._changes.append(StateChange(self._state, state, who, why))
        self._state, self._cause = state, cause

    def _make_room(self, n_decisions: int) -> None:
        """Have rows for that many further entries in `_recent`."""
        first, end = self._span[:2].tolist()
        if end + n_decisions > len(self._recent):
            kept = self._recent[first:end]
            self._recent = np.empty((2 * (len(kept) + n_decisions), 2), np.int64)
            self._recent[: len(kept)] = kept
            self._span[:2] = 0, len(kept)

    def _deny_all(self, orders: OrderBatch) -> tuple[Denial, ...]:
        reason = self._cause or DenialReason.HALTED
        value, limit = self._losses.measured(reason)
        return tuple(
            Denial(order_id, symbol_id, reason, value, limit)
            for order_id, symbol_id in zip(orders.order_id.tolist(), orders.symbol_id.tolist(), strict=True)
        )

    def _denial(self, orders: OrderBatch, row: int, code: int, value: float, limit: float) -> Denial:
        reason = DENIAL_REASONS[code]
        if code == _REDUCING_ONLY and self._cause is not None:
            reason = self._cause
            value, limit = self._losses.measured(reason)
        return Denial(int(orders.order_id[row]), int(orders.symbol_id[row]), reason, value, limit)


def _or_infinite(limit: float | None) -> float:
    return np.inf if limit is None else limit
