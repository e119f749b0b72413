"""The whole loop in one process: the same shard, decider and store as a run, without Ray."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from trader.core.decision import DecisionBlock
from trader.core.protocols import Predictor
from trader.engine.build import build_decider
from trader.engine.journal import Journal
from trader.engine.monitor import Monitor
from trader.engine.prepare import Prepared
from trader.engine.shard import build_shard
from trader.engine.tap import open_tap
from trader.models.artifacts import load_ensemble
from trader.reporting.status import RunStatus
from trader.storage import Store
from trader.telemetry.log import get_logger

__all__ = ["run_backtest"]

_COMMIT_EVERY = 256
_STATUS_EVERY_S = 0.25


def run_backtest(
    prepared: Prepared,
    store: Store,
    *,
    predictor: Predictor | None = None,
    on_status: Callable[[RunStatus], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Trade the plan from where the store says it has come; return whether the data were used up.

    `predictor` takes the place of the run's own ensemble.
    Everything decided is in the store when it returns, also when it was stopped.
    """
    plan = prepared.plan
    universe = plan.info.universe
    span = None if plan.info.span_ns is None else (plan.start_ns, plan.info.span_ns[1])
    monitor = Monitor(plan.run_id, plan.mode, universe, span)
    journal = Journal(get_logger(run_id=plan.run_id, part="decision"), plan.run_id, universe)

    def watch(decisions: DecisionBlock, latency_ns: int | None) -> None:
        monitor.on_decisions(decisions, latency_ns)
        journal.on_decisions(decisions, latency_ns)

    ids = np.arange(len(universe), dtype=np.int32)

    decider = build_decider(
        run_id=plan.run_id,
        info=plan.info,
        settings=plan.settings,
        start_ns=plan.start_ns,
        symbol_ids=[ids],
        predictor=predictor or load_ensemble(plan.model_dir),
        challenger=load_ensemble(plan.challenger_dir) if plan.settings.experiment.name else None,
        store=store,
        commit_every=_COMMIT_EVERY,
        on_decisions=watch,
        on_event=journal.on_event,
    )
    sinks = plan.settings.sinks
    tap = open_tap(sinks, plan.info, ids, f"{plan.run_id}/shard-0")
    shard = build_shard(plan.info, ids, plan.settings, tap)
    finished = False
    shown = time.monotonic()
    try:
        for batch in prepared.feed.batches():
            if should_stop():
                break
            decider.accept(0, shard.process(batch))
            decider.make_room(should_stop)
            if on_status is not None and time.monotonic() - shown > _STATUS_EVERY_S:
                shown = time.monotonic()
                counters = decider.counters
                on_status(
                    monitor.status(
                        ticks=counters.ticks,
                        bars=counters.bars,
                        decisions=counters.decisions,
                        state=decider.trading_state,
                        standing=decider.standing,
                    )
                )
        else:
            finished = True
        decider.commit()
        decider.drain(should_stop)
    finally:
        decider.close()
        if tap is not None:
            tap.close(sinks.close_s)
    for event in () if tap is None else tap.events(plan.run_id, at_end=True):
        journal.on_event(event)
        store.record_event(event)
    return finished
