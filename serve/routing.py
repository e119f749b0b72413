"""Which variant answers a prediction over HTTP: by symbol, with a shadow that nobody waits for."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from serve.backend import Backend
from serve.guardrail import Breach, Guardrails, Tally
from serve.metrics import HttpMetrics
from serve.overload import OverloadedError
from serve.timing import TimedBackend
from trader.core.errors import DataError
from trader.core.protocols import Prediction
from trader.experiments.assignment import Split, Variant, assign
from trader.experiments.breaker import CircuitBreaker

__all__ = ["Challenge", "Routed", "Router"]

FloatArray = NDArray[np.float64]

_log = structlog.get_logger(__name__)

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


@dataclasses.dataclass(slots=True)
class _Challenger:
    """Who challenges, and how it does."""

    backend: Backend
    challenge: Challenge
    tally: Tally
    breaker: CircuitBreaker = dataclasses.field(default_factory=CircuitBreaker)


@dataclasses.dataclass(slots=True)
class _Routes:
    """Who answers now. A request keeps the routes that it began with."""

    champion: Backend
    tally: Tally
    challenger: _Challenger | None
    fallback: Backend | None
    breaches: dict[str, Breach] = dataclasses.field(default_factory=dict)


class Router:
    """Asks the champion, and the challenger where it has symbols; a shadow sees requests after they are answered.

    A challenger that fails, as one does of which every member is left out, or is late costs its share of the answer
    only: the champion's scores take its place, and after three failures in a row it is left alone for a while
    (`CircuitBreaker`, counting requests). One that breaks a guardrail answers no more; a champion that does gives way
    to the one before it, while that is kept.

    Parameters
    ----------
    champion : Backend
    challenger : pair of Backend and Challenge, optional
    fallback : Backend, optional
        The champion before.
    metrics : HttpMetrics, optional
    guardrails : Guardrails, optional
    clock : callable
        Seconds of a monotonic clock.
    """

    def __init__(
        self,
        champion: Backend,
        challenger: tuple[Backend, Challenge] | None = None,
        fallback: Backend | None = None,
        *,
        metrics: HttpMetrics | None = None,
        guardrails: Guardrails | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.metrics = metrics or HttpMetrics()
        self._guardrails = guardrails or Guardrails()
        self._clock = clock
        self._mirrored: set[asyncio.Task[None]] = set()
        self.use(champion, challenger, fallback)

    def use(
        self,
        champion: Backend,
        challenger: tuple[Backend, Challenge] | None = None,
        fallback: Backend | None = None,
    ) -> None:
        """Answer by these from the next request on; those under way end as they began.

        Parameters
        ----------
        champion : Backend
        challenger : pair of Backend and Challenge, optional
        fallback : Backend, optional
            The champion before, which takes over if this one breaks a guardrail.
        """
        challenging = None
        if challenger is not None:
            beside = TimedBackend(challenger[0], self.metrics, _CHALLENGER)
            challenging = _Challenger(beside, challenger[1], Tally(self._guardrails))
        before = None if fallback is None else TimedBackend(fallback, self.metrics, _CHAMPION)
        timed = TimedBackend(champion, self.metrics, _CHAMPION)
        self._routes = _Routes(timed, Tally(self._guardrails), challenging, before)

    @property
    def champion(self) -> Backend:
        """Who answers now."""
        return self._routes.champion

    @property
    def backends(self) -> dict[str, Backend]:
        """Who is asked now, by variant."""
        routes = self._routes
        challenging = {} if routes.challenger is None else {_CHALLENGER: routes.challenger.backend}
        return {_CHAMPION: routes.champion} | challenging

    def standing(self) -> dict[str, Any]:
        """Return the counts of each variant over the last minute, and the guardrails that were broken; JSON-ready."""
        routes = self._routes
        self._guard(routes)
        counts = {_CHAMPION: routes.tally.to_dict()}
        if routes.challenger is not None:
            counts[_CHALLENGER] = routes.challenger.tally.to_dict()
        return {"variants": counts, "breaches": {who: each.to_dict() for who, each in routes.breaches.items()}}

    async def score(self, keys: Sequence[str], feature_names: tuple[str, ...], features: FloatArray) -> Routed:
        """Score the last instant of features; errors are the champion's.

        Parameters
        ----------
        keys : sequence of str
            What each symbol is assigned to a variant by: itself, or whose request it is.
        feature_names : tuple of str
        features : ndarray of shape (n_instants, n_symbols, n_features)
        """
        routes = self._routes
        challenger = routes.challenger
        if challenger is None:
            prediction = await self._champion(routes, feature_names, features)
            return self._routed(prediction, np.zeros(len(keys), bool))
        mine = assign(keys, challenger.challenge.split) == Variant.CHALLENGER
        if not mine.any():
            prediction = await self._champion(routes, feature_names, features)
            if challenger.challenge.is_shadow:
                self._mirror(routes, challenger, feature_names, features, prediction)
            return self._routed(prediction, np.zeros_like(mine))
        asked = asyncio.create_task(self._ask(routes, challenger, feature_names, features))
        try:
            prediction = await self._champion(routes, feature_names, features)
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
            self.metrics.routed.labels(variant).inc(variants.count(variant))
        return Routed(prediction, variants)

    async def _champion(self, routes: _Routes, feature_names: tuple[str, ...], features: FloatArray) -> Prediction:
        began, failed = self._clock(), True
        try:
            prediction = await routes.champion.score(feature_names, features)
            failed = False
        # What the client sent, that clients send too much, or that one went away, is not the champion's fault.
        except (DataError, OverloadedError, asyncio.CancelledError):
            failed = False
            raise
        finally:
            now = self._clock()
            routes.tally.add(now, now - began, failed=failed)
            self._guard(routes)
        return prediction

    async def _ask(
        self, routes: _Routes, challenger: _Challenger, feature_names: tuple[str, ...], features: FloatArray
    ) -> Prediction | None:
        """Return the challenger's answer; None if there is none in time."""
        if not challenger.breaker.allows(1):
            self.metrics.challenger.labels("skipped").inc()
            return None
        began, answer = self._clock(), None
        try:
            said = await asyncio.wait_for(
                challenger.backend.score(feature_names, features), challenger.challenge.timeout_s
            )
            answer = None if len(said.left_out) == len(said.members) else said
        except Exception as error:  # noqa: BLE001 - whatever ails a challenger costs its share only; it is counted
            _log.debug("challenger_failed", error=repr(error))
        if answer is None:
            challenger.breaker.failed()
            self.metrics.challenger.labels("failed").inc()
        else:
            challenger.breaker.succeeded()
            self.metrics.challenger.labels("answered").inc()
        now = self._clock()
        challenger.tally.add(now, now - began, failed=answer is None)
        self._guard(routes)
        return answer

    def _guard(self, routes: _Routes) -> None:
        """Take who breaks a guardrail off the routes, at once; who conducts the application hears of it later."""
        now = self._clock()
        if routes.challenger is not None and (breach := routes.challenger.tally.breach(now)) is not None:
            routes.breaches[_CHALLENGER] = breach
            routes.challenger = None
        if routes.fallback is not None and (breach := routes.tally.breach(now)) is not None:
            routes.breaches[_CHAMPION] = breach
            routes.champion, routes.fallback, routes.tally = routes.fallback, None, Tally(self._guardrails)

    def _mirror(
        self,
        routes: _Routes,
        challenger: _Challenger,
        feature_names: tuple[str, ...],
        features: FloatArray,
        answered: Prediction,
    ) -> None:
        """Show a request to the shadow when the answer has gone out, if not too many wait for it."""
        if len(self._mirrored) >= challenger.challenge.queue:
            self.metrics.challenger.labels("dropped").inc()
            return
        task = asyncio.create_task(self._compare(routes, challenger, feature_names, features, answered.score))
        self._mirrored.add(task)
        task.add_done_callback(self._mirrored.discard)

    async def _compare(
        self,
        routes: _Routes,
        challenger: _Challenger,
        feature_names: tuple[str, ...],
        features: FloatArray,
        champion: FloatArray,
    ) -> None:
        shadow = await self._ask(routes, challenger, feature_names, features)
        if shadow is None:
            return
        both = np.isfinite(champion) & np.isfinite(shadow.score)
        same = int((both & (np.sign(champion) == np.sign(shadow.score))).sum())
        self.metrics.agreement.labels("same").inc(same)
        self.metrics.agreement.labels("other").inc(int(both.sum()) - same)
