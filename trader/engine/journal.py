"""What of a decision goes into the log: everything out of the ordinary, one line each, with trace and symbol."""

from __future__ import annotations

import logging
from typing import Any

from trader.core.decision import DecisionBlock, Incidents
from trader.core.events import Event, PredictionsMissing, StoreGone, trace_id_of
from trader.core.market import Universe
from trader.core.orders import format_order_id

__all__ = ["Journal"]


class Journal:
    """Writes decisions to a structured log.

    Denials, rejections and changes of the trading state are lines of their own; a decision as a whole is one line
    at level debug. Cancels are not logged: every rebalance replaces what is still open.

    Parameters
    ----------
    log : structlog logger
        Bound to the run and its part.
    """

    def __init__(self, log: Any, run_id: str, universe: Universe) -> None:
        self._log = log.bind()  # a logger of the moment: the one given looks up the configuration at every call
        self._run_id = run_id
        self._symbols = universe.symbols

    def on_decisions(self, decisions: DecisionBlock, latency_ns: int | None) -> None:
        """Log decisions, each of the given latency."""
        if self._log.is_enabled_for(logging.DEBUG):
            for seq, equity, fills in zip(
                decisions.seq.tolist(), decisions.equity.tolist(), decisions.n_fills.tolist(), strict=True
            ):
                self._log.debug("decision", seq=seq, equity=equity, fills=fills, latency_ns=latency_ns)
        for row, incidents in decisions.incidents.items():
            self._report(int(decisions.seq[row]), int(decisions.ts_ns[row]), incidents)

    def on_event(self, event: Event) -> None:
        """Log that predictions are missing or the store is away, which needs a person, or that they are back."""
        level = logging.CRITICAL if isinstance(event, PredictionsMissing | StoreGone) else logging.WARNING
        log = self._log.bind(trace_id=event.trace_id) if event.trace_id else self._log
        log.log(level, event.kind, ts_ns=event.ts_ns, **event.payload())

    def _report(self, seq: int, ts_ns: int, incidents: Incidents) -> None:
        rejected = [withdrawal for withdrawal in incidents.withdrawals if withdrawal.rejected]
        if not (incidents.denials or rejected or incidents.state_changes):
            return
        log = self._log.bind(trace_id=trace_id_of(self._run_id, seq), seq=seq, ts_ns=ts_ns)
        for denial in incidents.denials:
            log.warning(
                "order_denied",
                symbol=self._symbols[denial.symbol_id],
                order_id=format_order_id(denial.order_id),
                reason=denial.reason.value,
                value=denial.value,
                limit=denial.limit,
            )
        for withdrawal in rejected:
            log.warning(
                "order_rejected",
                symbol=self._symbols[withdrawal.symbol_id],
                order_id=format_order_id(withdrawal.order_id),
                reason=withdrawal.reason,
            )
        for change in incidents.state_changes:
            log.warning(
                "trading_state",
                previous=change.previous.value,
                current=change.current.value,
                who=change.who,
                why=change.why,
            )
