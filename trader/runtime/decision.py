"""The third kind of actor: it joins what the shards make, asks the ensemble, decides and commits."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trader.core.clock import SystemClock
from trader.core.decision import DecisionBlock
from trader.core.errors import StoreUnavailableError, UserError
from trader.core.events import Event
from trader.core.orders import TradingState
from trader.core.protocols import Prediction, Predictor
from trader.engine.build import build_decider
from trader.engine.decider import Decider
from trader.engine.journal import Journal
from trader.engine.monitor import Monitor
from trader.engine.shard import ShardOutput
from trader.engine.writer import patiently
from trader.reporting.status import RunStatus
from trader.runtime.actors import Actor, RunContext
from trader.runtime.watchers import Watchers
from trader.storage import Store
from trader.telemetry.feed_metrics import FeedCounters
from trader.telemetry.sink_metrics import SinkCounters

if TYPE_CHECKING:
    from risk.snapshot import RiskSnapshot

__all__ = ["DecisionActor"]


class DecisionActor(Actor):
    """Joins the shards, asks the ensemble, decides, and commits to the store.

    Neither the ensemble nor the store keeps it from answering: while it waits for one of them, its status can be asked
    and its trading state changed.
    """

    def __init__(
        self,
        context: RunContext,
        symbol_ids: Sequence[NDArray[np.int32]],
        predictor: Predictor,
        challenger: Predictor | None = None,
    ) -> None:
        super().__init__(context, "decision")
        self._symbol_ids = symbol_ids
        self._lock = threading.Lock()
        self._asking = self._owes_commit = False
        self._predictor = _Unlocked(predictor, self._without_lock)
        self._challenger = None if challenger is None else _Unlocked(challenger, self._without_lock)
        self._journal = Journal(self._log, context.run_id, context.info.universe)
        self._watchers = Watchers(context.run_id, context.settings.telemetry)
        self._stopping = threading.Event()
        self._store: Store | None = None
        self._decider: Decider | None = None
        self._monitor = self._new_monitor()

    def reset(self, epoch: int) -> int:
        """Go back to the last commit; return the number of the last batch it holds.

        It waits for a store that is away: what it holds is the only truth.
        """
        give_up_s = self._context.settings.store.give_up_s
        with self._lock:
            if self._decider is not None and not self._decider.close(give_up_s):
                raise StoreUnavailableError(f"the store has not answered for {give_up_s:g} s; a write is on its way")
            self._monitor = self._new_monitor()
            self._decider = patiently(self._restored, give_up_s, self._on_no_store)
            self._stopping.clear()
            self._owes_commit = False
            self._epoch = epoch
            self._log.info("reset", epoch=epoch, durable_batch=self._decider.durable_batch)
            return self._decider.durable_batch

    def push(self, epoch: int, shard: int, output: ShardOutput) -> None:
        """Take one shard's output; decide on what it completes. While no more may wait for the store, this waits."""
        with self._lock:
            self._check(epoch)
            self._mine.accept(shard, output)
            if self._owes_commit:
                self._owes_commit = False
                self._mine.commit()
            self._watchers.on_data(output.n_ticks, output.n_bars, output.n_late)
            self._watchers.on_standing(self._mine.standing)
        self._mine.make_room(self._stopping.is_set)

    def on_counters(self, counters: FeedCounters | SinkCounters) -> None:
        """Show the totals of a live feed's source, or of a sink."""
        self._watchers.on_counters(counters)

    def stop(self) -> None:
        """Wait no longer for a store that is away than it takes to try again."""
        self._stopping.set()

    def finish(self, epoch: int) -> None:
        """Commit what is left, and return when the store has everything."""
        with self._lock:
            self._check(epoch)
            self._mine.commit()
        self._mine.drain(self._stopping.is_set)
        with self._lock:
            self._watchers.on_standing(self._mine.standing)
            self._watchers.close()

    def status(self, restarts: int = 0, message: str = "") -> RunStatus:
        """Return the state of the run now."""
        with self._lock:
            counters = self._mine.counters
            return self._monitor.status(
                ticks=counters.ticks,
                bars=counters.bars,
                decisions=counters.decisions,
                state=self._mine.trading_state,
                standing=self._mine.standing,
                restarts=restarts,
                message=message,
            )

    def set_trading_state(self, state: TradingState, who: str, why: str) -> TradingState:
        """Change the trading state at once; return the previous one.

        It is durable on return, or with the decision being made, or when a store that is away is back.
        """
        with self._lock:
            previous = self._mine.trading_state
            self._mine.set_trading_state(state, who, why)
            if self._asking:  # in the middle of a decision there is no state to go back to
                self._owes_commit = True
            else:
                self._mine.commit()
            self._log.warning("trading_state", previous=previous.value, current=state.value, who=who, why=why)
            return previous

    @property
    def _mine(self) -> Decider:
        assert self._decider is not None  # noqa: S101 - a session resets it before anything else
        return self._decider

    def _new_monitor(self) -> Monitor:
        context = self._context
        span = None if context.info.span_ns is None else (context.start_ns, context.info.span_ns[1])
        return Monitor(context.run_id, context.mode, context.info.universe, span)

    def _restored(self) -> Decider:
        """Return a decider that is where the store says the run has come."""
        context = self._context
        if self._store is None:
            self._store = Store.open(context.settings.store_url, synchronous=context.settings.store.synchronous)
        return build_decider(
            run_id=context.run_id,
            info=context.info,
            settings=context.settings,
            start_ns=context.start_ns,
            symbol_ids=self._symbol_ids,
            predictor=self._predictor,
            challenger=self._challenger,
            store=self._store,
            commit_every=context.settings.store.commit_every,
            clock=SystemClock(),
            on_decisions=self._on_decisions,
            on_event=self._on_event,
        )

    def _on_decisions(self, decisions: DecisionBlock, latency_ns: int | None) -> None:
        self._monitor.on_decisions(decisions, latency_ns)
        self._watchers.on_decisions(decisions, latency_ns)
        self._watchers.on_risk(self._risk)
        self._journal.on_decisions(decisions, latency_ns)

    def _risk(self) -> tuple[RiskSnapshot, Mapping[str, float] | None]:
        # Not above: it reaches for scipy, which a run that shows no metrics can do without.
        from risk.options.held import greeks_of_file
        from trader.engine.holdings import risk_of

        symbols, gate = self._context.info.universe.symbols, self._context.settings.risk
        holdings = self._mine.holdings()
        try:
            greeks = greeks_of_file(symbols, holdings, gate.option_positions)
        except UserError as error:  # the file was good when the run began
            self._log.error("options_unreadable", reason=str(error))
            greeks = None
        return risk_of(symbols, holdings, gate), greeks

    def _on_event(self, event: Event) -> None:
        self._watchers.on_event(event)
        self._journal.on_event(event)

    def _on_no_store(self, error: StoreUnavailableError) -> None:
        self._log.critical("store_gone", reason=str(error))

    @contextlib.contextmanager
    def _without_lock(self) -> Iterator[None]:
        """Let others in while a decision waits for scores; nothing of it has been made yet."""
        self._asking = True
        self._lock.release()
        try:
            yield
        finally:
            self._lock.acquire()
            self._asking = False


class _Unlocked:
    """A predictor that is asked without a lock that its caller holds."""

    def __init__(
        self, predictor: Predictor, without_lock: Callable[[], contextlib.AbstractContextManager[None]]
    ) -> None:
        self._predictor = predictor
        self._without_lock = without_lock

    @property
    def context(self) -> int:
        """Instants that a score looks at."""
        return self._predictor.context

    def __call__(self, features: NDArray[np.float64], n_context: int = 0) -> Prediction:
        """Score as the predictor does."""
        with self._without_lock():
            return self._predictor(features, n_context)
