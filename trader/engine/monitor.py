"""Running totals of a session, from which its status is made at any moment."""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Iterator

import numpy as np

from trader.core.decision import DecisionBlock
from trader.core.market import Universe
from trader.core.orders import TradingState
from trader.reporting.status import PositionLine, RunStatus
from trader.telemetry.latency import LatencyRecorder

__all__ = ["Monitor", "Standing"]

_RATE_WINDOW_S = 3.0


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """What ails the models and the store.

    Parameters
    ----------
    unpredicted : int
        Instants so far without a prediction.
    missing_since : int or None
        First decision of those that are without one now.
    store_gone_s : float
        How long the store has been gone, in seconds; 0 while it answers.
    waiting : int
        Decisions that it has not taken.
    """

    unpredicted: int = 0
    missing_since: int | None = None
    store_gone_s: float = 0.0
    waiting: int = 0


class Monitor:
    """Counts what the loop does. Not thread-safe: the caller holds the lock it decides under."""

    def __init__(self, run_id: str, mode: str, universe: Universe, span_ns: tuple[int, int] | None) -> None:
        self._run_id = run_id
        self._mode = mode
        self._universe = universe
        self._span_ns = span_ns
        self._last: DecisionBlock | None = None
        self._initial: float | None = None
        self._accepted = 0
        self._fills = 0
        self._denied: collections.Counter[str] = collections.Counter()
        self._latency = LatencyRecorder()
        self._samples: collections.deque[tuple[float, int]] = collections.deque()

    def on_decisions(self, decisions: DecisionBlock, latency_ns: int | None) -> None:
        """Count decisions, each of the given latency."""
        if self._initial is None:
            self._initial = float(decisions.equity[0])
        self._last = decisions
        self._accepted += len(decisions.orders)
        self._fills += len(decisions.fills)
        for incidents in decisions.incidents.values():
            self._denied.update(denial.reason.value for denial in incidents.denials)
        if latency_ns is not None:
            self._latency.record(latency_ns, len(decisions))

    def status(
        self,
        *,
        ticks: int,
        bars: int,
        decisions: int,
        state: TradingState,
        standing: Standing,
        restarts: int = 0,
        message: str = "",
    ) -> RunStatus:
        """Return the status now; rates are over the last seconds between calls."""
        last = self._last
        ts_ns = int(last.ts_ns[-1]) if last else 0
        progress = float("nan")
        if self._span_ns is not None:
            start, end = self._span_ns
            progress = min(max((ts_ns - start) / max(end - start, 1), 0.0), 1.0)
        equity = float(last.equity[-1]) if last else float("nan")
        initial = self._initial or float("nan")
        positions = last.positions[-1] if last else np.zeros(len(self._universe))
        values = np.nan_to_num(positions * last.prices[-1]) if last else positions
        weights = values / equity if last else values
        return RunStatus(
            run_id=self._run_id,
            mode=self._mode,
            progress=progress,
            ts_ns=ts_ns,
            equity=equity,
            cash=float(last.cash[-1]) if last else float("nan"),
            pnl=equity - initial,
            pnl_pct=equity / initial - 1.0,
            gross=float(np.abs(weights).sum()),
            net=float(weights.sum()),
            positions=self._lines(positions, values, weights),
            ticks_total=ticks,
            ticks_per_s=self._rate(ticks + bars),
            bars_total=bars,
            decisions=decisions,
            latency_p50_ms=self._latency.quantile(0.50) / 1e6,
            latency_p99_ms=self._latency.quantile(0.99) / 1e6,
            orders_accepted=self._accepted,
            orders_denied=dict(self._denied),
            fills=self._fills,
            trading_state=state,
            unpredicted=standing.unpredicted,
            alerts=tuple(_alerts(standing)),
            restarts=restarts,
            message=message,
        )

    def _lines(self, positions: np.ndarray, values: np.ndarray, weights: np.ndarray) -> tuple[PositionLine, ...]:
        held = [i for i in np.argsort(-np.abs(weights), kind="stable") if positions[i] != 0.0]
        return tuple(
            PositionLine(
                symbol=self._universe.symbols[i],
                quantity=float(positions[i]),
                value=float(values[i]),
                weight=float(weights[i]),
            )
            for i in held
        )

    def _rate(self, total: int) -> float:
        now = time.monotonic()
        self._samples.append((now, total))
        while len(self._samples) > 2 and now - self._samples[0][0] > _RATE_WINDOW_S:
            self._samples.popleft()
        (then, before) = self._samples[0]
        return (total - before) / (now - then) if now > then else 0.0


def _alerts(standing: Standing) -> Iterator[str]:
    if standing.missing_since is not None:
        yield f"no model has answered since decision {standing.missing_since}: positions are held"
    if standing.store_gone_s:
        yield f"the store has been gone for {standing.store_gone_s:.0f} s: {standing.waiting} decisions wait"
