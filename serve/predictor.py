"""The served ensemble as the decision loop's predictor."""

from __future__ import annotations

import dataclasses
import time
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray import serve as ray_serve
from ray.exceptions import RayTaskError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from serve.handles import EnsembleHandle
from serve.retry import Attempts, RetryPolicy, is_transient, own_error
from trader.core.errors import ServiceUnavailableError
from trader.core.protocols import Prediction

__all__ = ["ServePredictor"]

FloatArray = NDArray[np.float64]

_BRIEF_S = 2.0


class ServePredictor:
    """Scores features by a handle of Ray Serve; implements `trader.core.protocols.Predictor`.

    A prediction changes nothing, so it is repeated when its replica dies, is restarted or does not answer, until
    the deadline. Every replica serves the same files, so any of them gives the same answer. The call after one that met
    its deadline waits for two seconds at most: that nobody answers is known then.

    It may be sent to other processes by its arguments; the handle is looked up in each. It blocks while it waits,
    so an asyncio actor calls it in a thread.

    Parameters
    ----------
    app : str or DeploymentHandle
        Name of the Serve application, or a handle of its ensemble.
    timeout_s : float
        Deadline of one prediction, in seconds, repeats included.
    retries : int
        Most repeats of one prediction.
    context : int
        Instants that the served ensemble looks at, as its manifest says.
    deployment : str
        The application's deployment that answers; not needed with a handle.

    Attributes
    ----------
    context : int
    deployment : str
    calls, retries : int
        Predictions asked for and repeats needed so far, in this process.

    Raises
    ------
    ServiceUnavailableError
        When called: if no replica answers by the deadline, or no such application runs.
    """

    def __init__(
        self,
        app: str | DeploymentHandle,
        *,
        timeout_s: float = 60.0,
        retries: int = 100,
        context: int = 1,
        deployment: str = "",
    ) -> None:
        self._app = app
        self.context = context
        self.deployment = deployment
        self._policy = RetryPolicy(timeout_s=timeout_s, retries=retries, attempt_timeout_s=max(1.0, timeout_s / 3))
        self._handle: EnsembleHandle | None = None
        self._brief = dataclasses.replace(
            self._policy, timeout_s=min(timeout_s, _BRIEF_S), attempt_timeout_s=min(timeout_s, _BRIEF_S)
        )
        self._is_down = False
        self.calls = 0
        self.retries = 0

    def within(self, timeout_s: float) -> ServePredictor:
        """Return the same with another deadline."""
        return _rebuild(self._app, timeout_s, self._policy.retries, self.context, self.deployment)

    def __call__(self, features: FloatArray, n_context: int = 0) -> Prediction:
        """Score all but the first `n_context` instants of features (n_context + n_slices, n_symbols, n_features)."""
        self.calls += 1
        try:
            prediction = self._ask(features, n_context, self._brief if self._is_down else self._policy)
        except ServiceUnavailableError:
            self._is_down = True
            self._handle = None  # what comes back may be another application of that name
            raise
        self._is_down = False
        return prediction

    def _ask(self, features: FloatArray, n_context: int, policy: RetryPolicy) -> Prediction:
        if self._handle is None:
            self._handle = self._connect()
        predict = self._handle.method("predict", features.nbytes)
        attempts = Attempts(policy, f"the served {self.deployment or 'ensemble'}")
        while True:
            response = None
            try:
                response = predict.remote(features, n_context)
                prediction: Prediction = response.result(timeout_s=attempts.timeout_s())
            except RayTaskError as error:
                raise own_error(error) from None
            except Exception as error:
                if not is_transient(error):
                    raise
                if isinstance(error, TimeoutError) and response is not None:
                    _abandon(response)
                time.sleep(attempts.pause_after(error))
                self.retries += 1
            else:
                return prediction

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._app, self._policy.timeout_s, self._policy.retries, self.context, self.deployment)

    def _connect(self) -> EnsembleHandle:
        if isinstance(self._app, DeploymentHandle):
            return EnsembleHandle(self._app)
        try:
            return EnsembleHandle(ray_serve.get_deployment_handle(self.deployment, self._app))
        except (RayServeException, KeyError) as error:
            raise ServiceUnavailableError(f"no Serve application {self._app!r} runs here: {error}") from None


def _abandon(response: Any) -> None:
    """Cancel a call that took too long; that its replica has died meanwhile is no news."""
    with suppress(Exception):
        response.cancel()


def _rebuild(
    app: str | DeploymentHandle, timeout_s: float, retries: int, context: int, deployment: str
) -> ServePredictor:
    return ServePredictor(app, timeout_s=timeout_s, retries=retries, context=context, deployment=deployment)
