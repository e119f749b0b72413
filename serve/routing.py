"""Which variant answers a prediction over HTTP: by symbol, with a shadow that nobody waits for."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from serve.backend import Backend
from serve.metrics import HttpMetrics
from trader.core.errors import TraderError
from trader.core.protocols import Prediction
from trader.experiments.assignment import Split, Variant, assign
from trader.experiments.breaker import CircuitBreaker

__all__ = ["Challenge", "Routed", "Router"]

FloatArray = NDArray[np.float64]

_CHAMPION, _CHALLENGER = "champion", "challenger"


@dataclasses.dataclass(frozen=True, slots=True)
class Challenge:
    """What the router is told of an experiment.

    Parameters
    ----------
    split : Split
        Who answers for which symbol; a shadow has a share of 0.
    timeout_s : float
        How long the challenger may take; the champion answers for all symbols after that.
    queue : int
        Most requests that wait for a shadow; more are not shown to it, and counted.
    """

    split: Split
    timeout_s: float = 2.0
    queue: int = 16

    @property
    def is_shadow(self) -> bool:
        """Whether the challenger's scores are never answered."""
        return self.split.challenger == 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Routed:
    """An answer, and who gave the score of each symbol; all members that were asked are in it."""

    prediction: Prediction
    variants: tuple[str, ...]


class Router:
    """Asks the champion, and the challenger where it has symbols; a shadow sees requests after they are answered.

    A challenger that fails or is late costs its share of the answer only: the champion's scores take its place, and
    after three failures in a row it is left alone for a while (`CircuitBreaker`, counting requests).

    Parameters
    ----------
    champion, challenger : Backend
    challenge : Challenge
    metrics : HttpMetrics
    """

    def __init__(self, champion: Backend, challenger: Backend, challenge: Challenge, metrics: HttpMetrics) -> None:
        self._champion = champion
        self._challenger = challenger
        self._challenge = challenge
        self._metrics = metrics
        self._breaker = CircuitBreaker()
        self._mirrored: set[asyncio.Task[None]] = set()

    async def score(self, symbols: Sequence[str], feature_names: tuple[str, ...], features: FloatArray) -> Routed:
        """Score the last instant of features (n_instants, n_symbols, n_features); errors are the champion's."""
        mine = assign(symbols, self._challenge.split) == Variant.CHALLENGER
        if not mine.any():
            prediction = await self._champion.score(feature_names, features)
            if self._challenge.is_shadow:
                self._mirror(feature_names, features, prediction)
            return self._routed(prediction, np.zeros_like(mine))
        asked = asyncio.create_task(self._ask(feature_names, features))
        try:
            prediction = await self._champion.score(feature_names, features)
            answer = await asked
        finally:
            asked.cancel()
        if answer is None:
            return self._routed(prediction, np.zeros_like(mine))
        members = {key: scores for key, scores in answer.members.items() if key not in prediction.members}
        mixed = Prediction(np.where(mine, answer.score, prediction.score), {**prediction.members, **members})
        return self._routed(mixed, mine)

    async def drain(self) -> None:
        """Wait until the shadow has seen, or failed to see, all that was mirrored."""
        while self._mirrored:
            await asyncio.wait(self._mirrored)

    def _routed(self, prediction: Prediction, mine: NDArray[np.bool_]) -> Routed:
        variants = tuple(_CHALLENGER if own else _CHAMPION for own in mine.tolist())
        for variant in set(variants):
            self._metrics.routed.labels(variant).inc(variants.count(variant))
        return Routed(prediction, variants)

    async def _ask(self, feature_names: tuple[str, ...], features: FloatArray) -> Prediction | None:
        """Return the challenger's answer; None if there is none in time."""
        if not self._breaker.allows(1):
            self._metrics.challenger.labels("skipped").inc()
            return None
        try:
            answer = await asyncio.wait_for(self._challenger.score(feature_names, features), self._challenge.timeout_s)
        except (TraderError, TimeoutError):
            self._breaker.failed()
            self._metrics.challenger.labels("failed").inc()
            return None
        self._breaker.succeeded()
        self._metrics.challenger.labels("answered").inc()
        return answer

    def _mirror(self, feature_names: tuple[str, ...], features: FloatArray, answered: Prediction) -> None:
        """Show a request to the shadow when the answer has gone out, if not too many wait for it."""
        if len(self._mirrored) >= self._challenge.queue:
            self._metrics.challenger.labels("dropped").inc()
            return
        task = asyncio.create_task(self._compare(feature_names, features, answered.score))
        self._mirrored.add(task)
        task.add_done_callback(self._mirrored.discard)

    async def _compare(self, feature_names: tuple[str, ...], features: FloatArray, champion: FloatArray) -> None:
        shadow = await self._ask(feature_names, features)
        if shadow is None:
            return
        both = np.isfinite(champion) & np.isfinite(shadow.score)
        same = int((both & (np.sign(champion) == np.sign(shadow.score))).sum())
        self._metrics.agreement.labels("same").inc(same)
        self._metrics.agreement.labels("other").inc(int(both.sum()) - same)
