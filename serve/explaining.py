"""What a replica does to explain its ensemble: one explanation at a time, so that predictions go on beside it."""

from __future__ import annotations

import dataclasses
import threading
import time

import numpy as np
from numpy.typing import NDArray

from serve.metrics import ServiceMetrics
from trader.core.errors import OperationError, ServiceUnavailableError
from trader.explain.explainer import Explainer
from trader.explain.instant import Instant
from trader.explain.results import Attribution
from trader.explain.shap import prepare
from trader.models.ensemble import Ensemble

__all__ = ["EnsembleExplainer", "Explained", "ExplainerBusyError", "NoBackgroundError"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class ExplainerBusyError(ServiceUnavailableError):
    """Another explanation is being computed."""


class NoBackgroundError(OperationError):
    """The models were saved without the sample of training rows that explanations need."""


@dataclasses.dataclass(frozen=True, slots=True)
class Explained:
    """An explanation of one instant.

    Parameters
    ----------
    attribution : Attribution
        One row a symbol that was asked for.
    background : str
        The sample that values are relative to, in words.
    cached : bool
        Whether it was computed for an earlier request.
    """

    attribution: Attribution
    background: str
    cached: bool


class EnsembleExplainer:
    """Explains a served ensemble, in the thread of the caller.

    A second caller is refused, not queued: explanations cost a hundred predictions and more, and take their turns
    on the processor and the interpreter that predictions need.

    Parameters
    ----------
    ensemble : Ensemble
    metrics : ServiceMetrics
    """

    def __init__(self, ensemble: Ensemble, metrics: ServiceMetrics) -> None:
        self._explainer = None if ensemble.background is None else Explainer(ensemble, ensemble.background)
        self._metrics = metrics
        self._turn = threading.Lock()

    def warm_up(self) -> None:
        """Compile the kernels, and prepare what every explanation of the ensemble needs."""
        if self._explainer is not None:
            prepare(self._explainer.subject(), self._explainer.background)

    def explain(self, features: FloatArray, chosen: IntArray, method: str, member: str | None) -> Explained:
        """Explain the last of some consecutive instants.

        Parameters
        ----------
        features : ndarray of shape (n_instants, n_symbols, n_features)
        chosen : ndarray of shape (n_rows,)
            Positions of the symbols to be explained.
        method : str
            One of `trader.explain.explainer.METHODS`.
        member : str or None
            None explains the ensemble.

        Raises
        ------
        ExplainerBusyError
            If an explanation is being computed.
        NoBackgroundError
            If the models were saved without a background.
        UserError
            If features, method or member are not those of the ensemble.
        """
        if self._explainer is None:
            raise NoBackgroundError("the served models were saved without a background sample; train them again")
        if not self._turn.acquire(blocking=False):
            self._metrics.explanations_busy.inc()
            raise ExplainerBusyError("another explanation is being computed; one at a time is")
        try:
            started = time.perf_counter()
            before = self._explainer.cache.counts.hits
            instant = Instant.of(features[-1], past=features[:-1], chosen=chosen)
            attribution = self._explainer.explain(instant, method, member)
            cached = self._explainer.cache.counts.hits > before
        finally:
            self._turn.release()
        self._metrics.explanations.labels(method, "cache" if cached else "computed").inc()
        self._metrics.explanation_seconds.observe(time.perf_counter() - started)
        return Explained(attribution, self._explainer.background.statement, cached)
