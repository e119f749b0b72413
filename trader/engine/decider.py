"""From shard outputs to recorded decisions: join, rank across symbols, predict, decide, commit."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk.watch import Holdings
from trader.core.clock import Clock
from trader.core.decision import DecisionBlock
from trader.core.orders import TradingState
from trader.engine.join import Joined, join_shards
from trader.engine.monitor import Standing
from trader.engine.past import PastFeatures
from trader.engine.recorder import Recorder
from trader.engine.shard import ShardOutput
from trader.engine.steady import SteadyPredictor
from trader.engine.variants import Variants
from trader.features import CrossSection
from trader.pipeline import DecisionLoop

__all__ = ["Counters", "Decider"]


@dataclasses.dataclass(slots=True)
class Counters:
    """What has passed through so far."""

    ticks: int = 0
    bars: int = 0
    late: int = 0
    decisions: int = 0


class Decider:
    """The deciding end of the pipeline. Pure but for the predictor and the recorder it is given.

    Shard outputs may arrive in any order and more than once: a batch is decided on when every shard has covered
    it, in order, and never again.

    Parameters
    ----------
    symbol_ids : sequence of ndarray of int32
        The symbols of each shard.
    cross_section : CrossSection
        Ranks across symbols, made after the shards are joined.
    predictor : SteadyPredictor
    start_ns : int
        Instants before it only warm up the estimators.
    variants : Variants, optional
        The experiment that the run is part of.
    clock : Clock, optional
        Measures the latency of decisions: from the arrival of an instant's last bar to the end of its decision.
        None measures nothing.
    on_decisions : callable, optional
        Told of decisions, in order, and of the latency in ns of each of them, or None.
    skips_late : bool, default=False
        Whether bars of instants that are decided are left out and counted as late, as a live feed needs it: ticks that
        it cannot give again are missing between a shard's last checkpoint and the last decision. In a replay such
        bars are an error.
    """

    def __init__(
        self,
        *,
        symbol_ids: Sequence[NDArray[np.int32]],
        cross_section: CrossSection,
        predictor: SteadyPredictor,
        loop: DecisionLoop,
        recorder: Recorder,
        start_ns: int,
        variants: Variants | None = None,
        clock: Clock | None = None,
        on_decisions: Callable[[DecisionBlock, int | None], None] | None = None,
        skips_late: bool = False,
    ) -> None:
        self._symbol_ids = symbol_ids
        self._cross_section = cross_section
        self._predictor = predictor
        self._loop = loop
        self._recorder = recorder
        self._start_ns = start_ns
        self._variants = variants
        self._clock = clock
        self._on_decisions = on_decisions
        self._skips_late = skips_late
        self._last_ns = -1
        self._past = PastFeatures(predictor.context if variants is None else max(predictor.context, variants.context))
        self._early: list[dict[int, ShardOutput]] = [{} for _ in symbol_ids]
        self._queues: list[collections.deque[ShardOutput]] = [collections.deque() for _ in symbol_ids]
        self._needed = [0] * len(symbol_ids)
        self.counters = Counters()
        self.next_batch = 0
        self._restored_batch = -1

    def accept(self, shard: int, output: ShardOutput) -> None:
        """Take one shard's output; decide on every batch that all shards have now covered."""
        if output.seq < self._needed[shard]:
            return
        self._early[shard][output.first_seq] = output
        self._queue_up(shard)
        while all(self._queues):
            self._advance()

    def _queue_up(self, shard: int) -> None:
        """Queue what continues the shard's batches without a hole."""
        early, queue = self._early[shard], self._queues[shard]
        while early and (first := min(early)) <= self._needed[shard]:
            output = early.pop(first)
            if output.seq >= self._needed[shard]:
                queue.append(output)
                self._needed[shard] = output.seq + 1

    def _advance(self) -> None:
        """Go on to the next batch that ends an output of some shard; none before it completed a bar."""
        seq = min(queue[0].seq for queue in self._queues)
        outputs = [queue[0] if queue[0].seq == seq else _silent(queue[0]) for queue in self._queues]
        if any(output.n_bars for output in outputs):
            self._decide(outputs, seq)
        for queue in self._queues:
            if queue[0].seq == seq:
                self._count(queue.popleft())
        self.next_batch = seq + 1
        if self._recorder.is_due:
            self.commit()

    def _count(self, output: ShardOutput) -> None:
        self.counters.ticks += output.n_ticks
        self.counters.bars += output.n_bars
        self.counters.late += output.n_late

    def set_trading_state(self, state: TradingState, who: str, why: str) -> None:
        """Change the trading state by hand; the next decision carries out and records it."""
        self._loop.set_trading_state(state, who, why)

    @property
    def n_past(self) -> int:
        """Instants before the present one that its models look at."""
        return self._past.n_kept

    @property
    def n_prices(self) -> int:
        """Prices of past decisions that its measures of risk look at."""
        return self._loop.n_prices

    @property
    def trading_state(self) -> TradingState:
        """What the gate lets through now."""
        return self._loop.trading_state

    def holdings(self) -> Holdings:
        """Return what is held now, and the past that its risk is measured on."""
        return self._loop.holdings()

    @property
    def durable_batch(self) -> int:
        """Number of the last feed batch whose decisions are in the store."""
        return max(self._restored_batch, self._recorder.writer.durable_mark)

    @property
    def standing(self) -> Standing:
        """What ails the models and the store."""
        writer = self._recorder.writer
        return Standing(
            unpredicted=self._predictor.missed,
            missing_since=self._predictor.missing_since,
            store_gone_s=writer.gone_s,
            waiting=writer.waiting if writer.gone_s else 0,
        )

    def commit(self) -> None:
        """Make everything decided so far durable; where the store is away, as soon as it is back."""
        self._recorder.commit(self.state(), self.next_batch - 1)

    def make_room(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Wait while the store is away and no more may wait for it; see `StoreWriter.make_room`."""
        self._recorder.writer.make_room(should_stop)

    def drain(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Wait until the store has everything; see `StoreWriter.drain`."""
        self._recorder.writer.drain(should_stop)

    def close(self, wait_s: float = 1.0) -> bool:
        """End it; decisions that are not in the store are as if never made. See `StoreWriter.close`."""
        return self._recorder.writer.close(wait_s)

    def _decide(self, outputs: Sequence[ShardOutput], batch_seq: int) -> None:
        arrived_ns = self._clock.now_ns() if self._clock is not None else 0
        joined = join_shards(outputs, self._symbol_ids)
        if self._skips_late:
            joined = self._without_late(joined)
            if not len(joined.panel):
                return
        self._last_ns = int(joined.panel.ts_ns[-1])
        first = int(np.searchsorted(joined.panel.ts_ns, self._start_ns))
        if first:
            self._loop.warm_up(joined.panel.rows(0, first))
            if self._variants is not None:
                self._variants.warm_up(joined.panel.rows(0, first))
            if self._past.n_kept:
                self._past.warm_up(self._whole(joined.features[max(0, first - self._past.n_kept) : first]))
        if first == len(joined.panel):
            return
        features = self._whole(joined.features[first:])
        panel, row = joined.panel.rows(first, len(joined.panel)), 0
        seen = self._past.before(features)
        seq, trial = self.counters.decisions, self._variants
        prediction = champion = self._predictor.ask(seq, panel.ts_ns, *seen)
        if trial is not None and trial.is_traded:
            prediction = trial.score(champion, *seen, seq, panel)
        for block in self._loop.steps(seq, panel, prediction.score, prediction.members):
            latency_ns = self._clock.now_ns() - arrived_ns if self._clock is not None else None
            self._recorder.add(block, features[row : row + len(block)], latency_ns, batch_seq)
            row += len(block)
            self.counters.decisions += len(block)
            if self._on_decisions is not None:
                self._on_decisions(block, latency_ns)
        if trial is not None:
            if not trial.is_traded:  # a shadow is asked when all is decided
                trial.score(champion, *seen, seq, panel)
            self._recorder.add_marks(*trial.trade(seq, panel))
        self._past.add(features)

    def _without_late(self, joined: Joined) -> Joined:
        """Leave out instants that are not after the last one."""
        late = int(np.searchsorted(joined.panel.ts_ns, self._last_ns, "right"))
        if not late:
            return joined
        self.counters.late += int(np.isfinite(joined.panel.close[:late]).sum())
        return dataclasses.replace(
            joined, panel=joined.panel.rows(late, len(joined.panel)), features=joined.features[late:]
        )

    def _whole(self, own: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return features with the ranks across symbols beside them."""
        return np.concatenate((own, self._cross_section.apply(own)), axis=2)

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on after the last decided batch, ready for JSON."""
        return {
            "next_batch": self.next_batch,
            "counters": dataclasses.asdict(self.counters),
            "loop": self._loop.state(),
            "past": self._past.state(),
            "predictor": self._predictor.state(),
        } | ({} if self._variants is None else {"variants": self._variants.state()})

    def restore(self, state: Mapping[str, Any], decided: NDArray[np.float64], prices: NDArray[np.float64]) -> None:
        """Go on from what `state` returned; what waited undecided is forgotten and must be sent again.

        Parameters
        ----------
        state : mapping
        decided : ndarray of shape (n_slices, n_symbols, n_features)
            Features of the last decisions, as recorded: as many as `n_past`, or all if there are fewer.
        prices : ndarray of shape (n_slices, n_symbols)
            Prices at the last decisions, likewise: as many as `n_prices`.
        """
        self.next_batch = int(state["next_batch"])
        self._needed = [self.next_batch] * len(self._symbol_ids)
        for early, queue in zip(self._early, self._queues, strict=True):
            early.clear()
            queue.clear()
        self._restored_batch = self.next_batch - 1
        self.counters = Counters(**state["counters"])
        self._loop.restore(state["loop"], prices)
        self._last_ns = int(state["loop"]["ts_ns"])
        self._past.restore(state.get("past"), decided)
        self._predictor.restore(state.get("predictor", {}))
        if self._variants is not None:
            self._variants.restore(state["variants"], prices)


def _silent(output: ShardOutput) -> ShardOutput:
    """Return what a shard that completes no bar until later has to say now: its features as they were."""
    return dataclasses.replace(
        output, panel=output.panel.rows(0, 0), features=output.features[:0], n_bars=0, n_ticks=0, n_late=0
    )
