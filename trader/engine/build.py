"""Building the deciding end of a run, the same for a backtest and for the decision actor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from trader.core.clock import Clock
from trader.core.decision import DecisionBlock
from trader.core.events import Event
from trader.core.protocols import FeedInfo, Predictor
from trader.engine.decider import Decider
from trader.engine.recorder import Recorder
from trader.engine.shard import build_shard
from trader.engine.steady import SteadyPredictor
from trader.engine.variants import Variants
from trader.engine.writer import StoreWriter
from trader.experiments.book import ExperimentBook
from trader.features import CrossSection
from trader.pipeline import DecisionLoop
from trader.registry.weights import EnsembleWeights
from trader.settings import Settings
from trader.storage import Store

__all__ = ["build_decider"]


def build_decider(
    *,
    run_id: str,
    info: FeedInfo,
    settings: Settings,
    start_ns: int,
    symbol_ids: Sequence[NDArray[np.int32]],
    predictor: Predictor,
    challenger: Predictor | None = None,
    store: Store,
    commit_every: int,
    clock: Clock | None = None,
    on_decisions: Callable[[DecisionBlock, int | None], None] | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Decider:
    """Return the decider of a run, set to where the store says the run has come.

    Parameters
    ----------
    symbol_ids : sequence of ndarray of int32
        The symbols of each shard.
    predictor : Predictor
    challenger : Predictor, optional
        Needed if the settings name an experiment.
    commit_every : int
        Decisions per transaction.
    on_event : callable, optional
        Told when predictions are missing or the store is away, and when they are back; the store's from another thread.
    """
    n_symbols = len(info.universe)
    weights = EnsembleWeights(store).schedule(settings.models.ensemble)

    def loop(watch: bool = False) -> DecisionLoop:
        return DecisionLoop(
            n_symbols, sizing=settings.sizing, execution=settings.execution, gate=settings.risk, watch=watch
        )

    variants = None
    if settings.experiment.name and challenger is not None:
        spec = ExperimentBook(store).get(settings.experiment.name).spec
        mine = weights.renamed(spec.champion, spec.challenger)
        variants = Variants(spec, info.universe.symbols, challenger, (loop(), loop()), mine)
    context = max(predictor.context, 1 if variants is None else variants.context)
    own_names = build_shard(info, symbol_ids[0], settings).feature_names
    writer = StoreWriter(run_id, settings.store, store.record_event, on_event)
    recorder = Recorder(store, run_id, writer, commit_every=commit_every, every_feature=context > 1)

    def tell(event: Event) -> None:
        recorder.add_event(event)
        if on_event is not None:
            on_event(event)

    decider = Decider(
        symbol_ids=symbol_ids,
        cross_section=CrossSection(own_names, n_symbols),
        predictor=SteadyPredictor(predictor, run_id, weights=weights, clock=clock, on_event=tell),
        loop=loop(watch=True),
        recorder=recorder,
        start_ns=start_ns,
        variants=variants,
        clock=clock,
        on_decisions=on_decisions,
        skips_late=info.span_ns is None,
    )
    state = store.loop_state(run_id)
    if state is not None:
        past = store.recent_features(run_id, decider.n_past), store.recent_prices(run_id, decider.n_prices)
        decider.restore(state, *past)
    return decider
