"""A decider on a small simulated market, with any predictor, store and settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from trader.core.events import Event
from trader.core.protocols import Prediction, Predictor
from trader.data.simulated import SimulatedMarket
from trader.engine.build import build_decider
from trader.engine.decider import Decider
from trader.engine.history import feature_schema
from trader.engine.shard import ShardOutput, build_shard
from trader.settings import Settings, load_settings
from trader.storage import RunRecord, Store

__all__ = ["FIRST_DECISION", "N_DAYS", "N_SYMBOLS", "Scripted", "Trading"]

N_SYMBOLS = 5
N_DAYS = 160
FIRST_DECISION = 60
"""Days that only warm up."""
_DAY_NS = 86_400_000_000_000
_FEED = {"feed": {"simulation": {"n_symbols": N_SYMBOLS, "n_days": N_DAYS}}}


class Scripted:
    """Scores by the first feature; raises what `error` returns for the number of a call, if that is an error."""

    context = 1

    def __init__(self, error: Callable[[int], Exception | None] = lambda _: None) -> None:
        self.error = error
        self.calls = 0

    def __call__(self, features: np.ndarray, n_context: int = 0) -> Prediction:
        call, self.calls = self.calls, self.calls + 1
        error = self.error(call)
        if error is not None:
            raise error
        score = np.nan_to_num(features[n_context:, :, 0])
        return Prediction(score, {"first@1.0.0": score})


class Trading:
    """Feeds a decider day by day; run `r` is made in the store if it has none."""

    def __init__(
        self,
        store: Store,
        predictor: Predictor | None = None,
        settings: Mapping[str, Any] | None = None,
        *,
        commit_every: int = 1,
    ) -> None:
        self.settings: Settings = load_settings(None, None, _FEED | dict(settings or {}))
        feed = SimulatedMarket(self.settings.feed.simulation, seed=3, batch_slices=1)
        ids = np.arange(N_SYMBOLS, dtype=np.int32)
        shard = build_shard(feed.info, ids, self.settings)
        if "r" not in [run.run_id for run in store.runs()]:
            store.create_run(
                RunRecord(
                    run_id="r",
                    mode="run",
                    created_ns=1,
                    seed=1,
                    symbols=feed.info.universe.symbols,
                    feature_names=feature_schema(shard, N_SYMBOLS).names,
                    settings=self.settings.model_dump(mode="json"),
                )
            )
        self.outputs: list[ShardOutput] = [shard.process(batch) for batch in feed.batches()]
        self.info = feed.info
        self.start_ns = feed.info.span_ns[0] + FIRST_DECISION * _DAY_NS
        self.told: list[Event] = []
        self.decider: Decider = build_decider(
            run_id="r",
            info=feed.info,
            settings=self.settings,
            start_ns=self.start_ns,
            symbol_ids=[ids],
            predictor=predictor or Scripted(),
            store=store,
            commit_every=commit_every,
            on_event=self.told.append,
        )

    def go(self, end: int | None = None) -> None:
        """Decide on the days up to `end` that it has not decided on."""
        for output in self.outputs[self.decider.next_batch : end]:
            self.decider.accept(0, output)
            self.decider.make_room()

    def finish(self) -> None:
        """Decide on all that is left, wait for the store, and end."""
        self.go()
        self.decider.commit()
        self.decider.drain()
        self.decider.close()
