"""A predictor that abstains where the models do not answer, so that positions are held and the run goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.clock import Clock
from trader.core.errors import OperationError
from trader.core.events import Event, PredictionsBack, PredictionsMissing, trace_id_of
from trader.core.protocols import Prediction, Predictor
from trader.experiments.breaker import CircuitBreaker
from trader.models.weights import WeightSchedule

__all__ = ["SteadyPredictor"]

FloatArray = NDArray[np.float64]


class SteadyPredictor:
    """Asks a predictor; where it fails, or every member of the ensemble is left out, all scores are NaN.

    That is no abstention like another: it is counted, and told as an event when it begins and when it ends. A predictor
    that fails again and again is left alone for a while (`CircuitBreaker`).

    Parameters
    ----------
    predictor : Predictor
    run_id : str
        Of the events.
    weights : WeightSchedule, optional
        Weights of the members that take the place of the ensemble's own from some instant on.
    clock : Clock, optional
        With it, pauses of the breaker are counted in time too.
    on_event : callable, optional
        Told when predictions begin to be missing, and when they are back.

    Attributes
    ----------
    missed : int
        Instants so far without a prediction.
    missing_since : int or None
        First decision of those that are without one now.
    """

    def __init__(
        self,
        predictor: Predictor,
        run_id: str,
        *,
        weights: WeightSchedule | None = None,
        clock: Clock | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self._predictor = predictor
        self._run_id = run_id
        self._weights = weights or WeightSchedule()
        self._breaker = CircuitBreaker(None if clock is None else lambda: clock.now_ns() / 1e9)
        self._on_event = on_event
        self._members: tuple[str, ...] = ()
        self._reason = ""
        self.missed = 0
        self.missing_since: int | None = None

    @property
    def context(self) -> int:
        """Instants that a score looks at, its own included."""
        return self._predictor.context

    def ask(self, seq: int, ts_ns: NDArray[np.int64], features: FloatArray, n_context: int) -> Prediction:
        """Score the instants `ts_ns`, shape (n_slices,), of decisions from `seq` on; all NaN if no model answers.

        Parameters
        ----------
        seq : int
        ts_ns : ndarray of shape (n_slices,)
        features : ndarray of shape (n_context + n_slices, n_symbols, n_features)
        n_context : int

        Raises
        ------
        UserError
            If the features are not those of the models: that no time repairs.
        """
        prediction = self._answer(features, n_context, len(ts_ns))
        if prediction is None:
            self.missed += len(ts_ns)
            if self.missing_since is None:
                self.missing_since = seq
                self._tell(PredictionsMissing(seq=seq, reason=self._reason, **self._common(seq, ts_ns)))
            unknown = np.full((len(ts_ns), features.shape[1]), np.nan)
            return Prediction(unknown, dict.fromkeys(self._members, unknown))
        if self.missing_since is not None:
            missed, self.missing_since = seq - self.missing_since, None
            self._tell(PredictionsBack(seq=seq, missed=missed, **self._common(seq, ts_ns)))
        return self._weights.apply(prediction, ts_ns)

    def _answer(self, features: FloatArray, n_context: int, n_instants: int) -> Prediction | None:
        if not self._breaker.allows(n_instants):
            return None
        try:
            prediction = self._predictor(features, n_context)
        except OperationError as error:
            self._breaker.failed()
            self._reason = str(error)
            return None
        self._breaker.succeeded()
        self._members = tuple(prediction.members)
        left_out = prediction.left_out
        if left_out and len(left_out) == len(prediction.members):
            self._reason = f"every member is out: {', '.join(f'{key} {why}' for key, why in left_out.items())}"
            return None
        return prediction

    def state(self) -> dict[str, Any]:
        """Return the counts, ready for JSON."""
        return {"missed": self.missed, "missing_since": self.missing_since}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned; an empty state is that of the beginning."""
        self.missed = int(state.get("missed", 0))
        self.missing_since = state.get("missing_since")

    def _common(self, seq: int, ts_ns: NDArray[np.int64]) -> dict[str, Any]:
        return {"run_id": self._run_id, "trace_id": trace_id_of(self._run_id, seq), "ts_ns": int(ts_ns[0])}

    def _tell(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)
