"""An experiment inside a run: the challenger beside the champion, and a virtual portfolio of each.

Each virtual portfolio is a decision loop of its own, with the sizing, risk gate, paper broker and costs of the run,
and trades the scores of one variant for all symbols. Their returns at the same instants are what the variants are
compared by: symbols and market are the same, so the difference is the models'. All of it that reaches the loop that
trades is the challenger's share, which may depend on how the virtual portfolios did in the decisions before. A share
that was taken away does not come back, so nothing of this goes on then, and the challenger is asked no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError, TraderError
from trader.core.market import BarPanel
from trader.core.protocols import Prediction, Predictor
from trader.experiments.assignment import Variant, assign
from trader.experiments.breaker import CircuitBreaker
from trader.experiments.spec import ExperimentSpec
from trader.experiments.traffic import Traffic
from trader.models.weights import WeightSchedule
from trader.pipeline import DecisionLoop
from trader.storage import ShareChange, VariantMark
from trader.storage.codec import null_nan, pack
from trader.validation.ic import information_coefficient

__all__ = ["Variants"]

FloatArray = NDArray[np.float64]


class Variants:
    """What a decider does beside deciding while its run has an experiment.

    Parameters
    ----------
    spec : ExperimentSpec
    symbols : sequence of str
        Of the run; the keys of the assignment.
    predictor : Predictor
        The challenger's ensemble.
    loops : pair of DecisionLoop
        Virtual portfolios of champion and challenger.
    weights : WeightSchedule, optional
        As the champion's, with the challenger in its place.
    """

    def __init__(
        self,
        spec: ExperimentSpec,
        symbols: Sequence[str],
        predictor: Predictor,
        loops: tuple[DecisionLoop, DecisionLoop],
        weights: WeightSchedule | None = None,
    ) -> None:
        self._challenger = spec.challenger
        self._symbols = symbols
        self._split = spec.split
        self._masks: dict[float, NDArray[np.bool_]] = {}
        self._traffic = Traffic(spec, len(symbols))
        self._predictor = predictor
        self._loops = loops
        self._weights = weights or WeightSchedule()
        self._breaker = CircuitBreaker()
        self._said: tuple[FloatArray, FloatArray] = (np.empty((0, 0)), np.empty((0, 0)))
        self._followed: FloatArray = np.empty((0, 0))
        self._own: FloatArray = np.empty((0, 0))
        self._answered = False
        self._marks: list[VariantMark] = []
        self._changes: list[ShareChange] = []
        self.is_traded = spec.kind == "ab"
        """Whether the challenger's scores are traded for its share; a shadow's never are."""
        self.unanswered = 0
        """Instants without an answer of the challenger; the champion's scores were traded for all symbols."""

    @property
    def context(self) -> int:
        """Instants that the challenger looks at."""
        return self._predictor.context

    @property
    def share(self) -> float:
        """The challenger's share of the symbols at the next decision."""
        return self._traffic.share

    @property
    def is_over(self) -> bool:
        """Whether the run has taken all of its share from the challenger, for good."""
        return self.is_traded and self._traffic.share == 0.0

    def score(
        self, champion: Prediction, features: FloatArray, n_context: int, seq: int, panel: BarPanel
    ) -> Prediction:
        """Ask the challenger too; return what to trade if it is traded. What ails it changes nothing for the champion.

        Parameters
        ----------
        champion : Prediction
            What the champion said of the same instants.
        features : ndarray of shape (n_context + n_slices, n_symbols, n_features)
        n_context : int
        seq : int
            Number of the first decision.
        panel : BarPanel
            Of n_slices instants.
        """
        unknown = np.full(champion.score.shape, np.nan)
        if self.is_over:
            return Prediction(champion.score, {**champion.members, self._challenger: unknown})
        answer = self._ask(features, n_context, panel.ts_ns, champion.score.shape)
        self._answered = answer is not None
        if answer is None:
            answer = Prediction(unknown, {self._challenger: unknown})
        self._followed = answer.score if self._answered else champion.score
        self._said = (champion.score, answer.score)
        self._own = answer.members[self._challenger]
        shares = self._shares(seq, panel)
        mine = np.array([self._mine(share) for share in shares])
        own = self._own
        if self.is_traded:  # that it was still asked is an accident of how many instants come at once
            own = np.where((shares > 0.0)[:, None], own, np.nan)
        traded = np.where(mine, self._followed, champion.score)
        return Prediction(traded, {**champion.members, self._challenger: own})

    def _shares(self, seq: int, panel: BarPanel) -> FloatArray:
        """Return the challenger's share at each instant, shape (n_slices,).

        It may depend on how the instant before came out, so of several the virtual portfolios have to go first; of
        one, as in a run that keeps up, they go when it is decided.
        """
        if len(panel) == 1:
            return np.array([self._traffic.share])
        self._follow(seq, panel)
        shares = np.zeros(len(panel))
        shares[: len(self._marks)] = [mark.share or 0.0 for mark in self._marks]
        return shares

    def _mine(self, share: float) -> NDArray[np.bool_]:
        if share not in self._masks:
            self._masks[share] = assign(self._symbols, self._split.at(share)) == Variant.CHALLENGER
        return self._masks[share]

    def _ask(
        self, features: FloatArray, n_context: int, ts_ns: NDArray[np.int64], shape: tuple[int, ...]
    ) -> Prediction | None:
        if not self._breaker.allows(len(ts_ns)):
            return None
        try:
            answer = self._weights.apply(self._predictor(features, n_context), ts_ns)
            if answer.score.shape != shape:
                raise DataError(f"the challenger's scores have shape {answer.score.shape}; {shape} is needed")
        except TraderError:
            self._breaker.failed()
            return None
        if self._challenger in answer.left_out:  # the others answered, and nothing is to be learnt of them here
            self._breaker.failed()
            return None
        self._breaker.succeeded()
        return answer

    def warm_up(self, panel: BarPanel) -> None:
        """Let the virtual portfolios' estimates see the past."""
        for loop in self._loops:
            loop.warm_up(panel)

    def trade(self, seq: int, panel: BarPanel) -> tuple[list[VariantMark], list[ShareChange]]:
        """Trade what `score` has just heard of both for all symbols; return a mark of each decision from `seq` on.

        Where the challenger did not answer, its portfolio follows the champion, as the run does. The changes of the
        challenger's share that followed from it are returned too. From the decision on that a rollback leaves it
        nothing of, there are no marks.
        """
        if not self._marks and not self.is_over:
            self._follow(seq, panel)
        marks, changes, self._marks, self._changes = self._marks, self._changes, [], []
        return marks, changes

    def _follow(self, seq: int, panel: BarPanel) -> None:
        """Trade the virtual portfolios, and let the share move by what became of each decision."""
        equity = [
            np.concatenate([block.equity for block in loop.steps(seq, panel, score, {})]).tolist()
            for loop, score in zip(self._loops, (self._said[0], self._followed), strict=True)
        ]
        agreement, correlation = null_nan(_sign_agreement(*self._said)), null_nan(_rank_correlation(*self._said))
        for row, known in enumerate(zip(*equity, agreement, correlation, strict=True)):
            if self.is_over:
                break
            champion, challenger, sign, rank = known
            share = self._traffic.share
            self.unanswered += not self._answered
            units = int(self._mine(share).sum()) if self._answered else 0
            own = None if self.is_traded or not self._answered else pack(self._own[row])
            mark = VariantMark(seq + row, champion, challenger, sign, rank, share, units, self._answered, own)
            self._marks.append(mark)
            if (change := self._traffic.take(mark)) is not None:
                self._changes.append(change)

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on, ready for JSON."""
        return {
            "unanswered": self.unanswered,
            "traffic": self._traffic.state(),
            "breaker": self._breaker.state(),
            "loops": [loop.state() for loop in self._loops],
        }

    def restore(self, state: Mapping[str, Any], prices: FloatArray) -> None:
        """Go on from what `state` returned, and the prices of the last decisions as `DecisionLoop.restore` has them."""
        self.unanswered = int(state["unanswered"])
        self._traffic.restore(state["traffic"])
        self._breaker.restore(state["breaker"])
        for loop, kept in zip(self._loops, state["loops"], strict=True):
            loop.restore(kept, prices)


def _sign_agreement(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return the share of equal signs among symbols that both scored, shape (n_slices,); NaN if there are none."""
    known = np.isfinite(one) & np.isfinite(other)
    equal = known & (np.sign(one) == np.sign(other))
    share: FloatArray = np.full(len(one), np.nan)
    np.divide(equal.sum(axis=1), known.sum(axis=1), out=share, where=known.any(axis=1))
    return share


def _rank_correlation(one: FloatArray, other: FloatArray) -> FloatArray:
    return information_coefficient(one, other, min_symbols=3)
