"""The served ensemble as a plain class: what a replica does, without Ray."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from serve.explaining import EnsembleExplainer, Explained
from serve.members import Ask, GuardedEnsemble
from serve.memory import limit_memory
from serve.metrics import ServiceMetrics
from serve.tracing import Tracing
from trader.core.errors import DataError, ModelError
from trader.core.protocols import LeftOut, Prediction
from trader.models.artifacts import load_ensemble

__all__ = ["EnsembleDescription", "EnsembleService", "MemberSummary"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_NAMES_SHOWN = 5


@dataclasses.dataclass(frozen=True, slots=True)
class MemberSummary:
    """One model of the ensemble.

    Parameters
    ----------
    key : str
        `name@version`.
    name, version : str
    weight : float
        Its share of the ensemble; all shares sum to one.
    sha256 : str
        Digest of its files.
    failures, late, skipped : int
        Predictions in which it raised, did not answer in time, or was left alone, in the replica that answers.
    state : {"closed", "open", "half-open"}
        Whether that replica asks it; see `serve.members.MemberStanding`.
    """

    key: str
    name: str
    version: str
    weight: float
    sha256: str
    failures: int
    late: int
    skipped: int
    state: Literal["closed", "open", "half-open"]


@dataclasses.dataclass(frozen=True, slots=True)
class EnsembleDescription:
    """What is served.

    Parameters
    ----------
    feature_names : tuple of str
        The schema, in the order of the columns.
    context : int
        Instants that a score looks at, its own included.
    members : tuple of MemberSummary
    training : mapping
        The report that was saved with the models; empty if none was.
    """

    feature_names: tuple[str, ...]
    context: int
    members: tuple[MemberSummary, ...]
    training: Mapping[str, Any]


class EnsembleService:
    """Loads a saved ensemble and answers predictions, counting what it does.

    Parameters
    ----------
    model_dir : str or Path
        What `trader.models.artifacts.save_ensemble` wrote.
    member_timeout_s : float
        How long a member may take for a prediction, in seconds; 0 sets no limit.
    tracing : str
        Where spans go; see `serve.tracing.Tracing.of`.

    Raises
    ------
    ModelError
        If the folder holds no ensemble, its files are not those that were saved, or every member fails.
    """

    def __init__(self, model_dir: str | Path, member_timeout_s: float = 0.0, tracing: str = "off") -> None:
        self._ensemble = load_ensemble(Path(model_dir))
        self._saved_weights = self._ensemble.weights
        self._guarded = GuardedEnsemble(self._ensemble, member_timeout_s)
        self._columns = {name: column for column, name in enumerate(self._ensemble.feature_names)}
        self._metrics = ServiceMetrics()
        self._tracing = Tracing.of(tracing, "ensemble")
        self._explainer = EnsembleExplainer(self._ensemble, self._metrics)
        for key, weight in self._ensemble.weights.items():
            self._metrics.member.labels(key).set(weight)
            for reason in get_args(LeftOut):
                self._metrics.left_out.labels(key, reason)
        self._warm_up()

    def reconfigure(self, config: Mapping[str, Any]) -> None:
        """Take what may change while it serves; Ray Serve calls it in place.

        Parameters
        ----------
        config : mapping
            `weights` of the members, as saved where there are none; `memory_mb`, what this process may take beyond
            what it holds now, with 0 for no limit.

        Raises
        ------
        DataError
            If the weights are not one a member, finite, not negative and not all 0.
        """
        if "memory_mb" in config:
            limit_memory(int(config["memory_mb"]))
        weights = config.get("weights") or self._saved_weights
        if weights == self._ensemble.weights:
            return
        self._ensemble = self._ensemble.reweighted(weights)
        self._guarded.follow(self._ensemble)
        explainer = EnsembleExplainer(self._ensemble, self._metrics)
        explainer.warm_up()
        self._explainer = explainer
        for key, weight in self._ensemble.weights.items():
            self._metrics.member.labels(key).set(weight)

    def predict(self, features: FloatArray, n_context: int = 0, ask: Ask | None = None) -> Prediction:
        """Score all but the first `n_context` instants of features (n_context + n_slices, n_symbols, n_features).

        `ask` is that of `GuardedEnsemble`.

        Raises
        ------
        DataError
            If the shape is not that of the schema.
        """
        started = time.perf_counter()
        try:
            prediction = self._guarded(features, n_context, ask)
        except DataError:
            self._metrics.refused.inc()
            raise
        self._count(prediction)
        self._metrics.seconds.observe(time.perf_counter() - started)
        self._metrics.rows.inc(prediction.score.size)
        self._metrics.abstained.inc(int(np.isnan(prediction.score).sum()))
        return prediction

    def score(self, feature_names: tuple[str, ...], features: FloatArray, trace: str | None = None) -> Prediction:
        """Score the last of some consecutive instants whose columns are named, in any order.

        Parameters
        ----------
        feature_names : tuple of str
            Exactly the schema's names; their order is repaired.
        features : ndarray of shape (n_instants, n_symbols, n_features)
            The instants before the last are what a sequence model looks back at.
        trace : str, optional
            A `traceparent` that the spans of this call continue, where tracing is on.

        Returns
        -------
        Prediction
            Of one slice.

        Raises
        ------
        DataError
            If a name is unknown, missing or repeated.
        """
        if trace is None or self._tracing is None:
            return self.predict(self._in_order(feature_names, features), len(features) - 1)
        with self._tracing.span("replica", parent=trace):
            ask = self._traced(self._tracing, self._tracing.traceparent())
            return self.predict(self._in_order(feature_names, features), len(features) - 1, ask)

    def explain(
        self,
        feature_names: tuple[str, ...],
        features: FloatArray,
        chosen: IntArray,
        method: str,
        member: str | None = None,
    ) -> Explained:
        """Explain the last of some consecutive instants, whose columns are named as for `score`.

        It takes the thread that calls it; see `serve.explaining.EnsembleExplainer`.
        """
        return self._explainer.explain(self._in_order(feature_names, features), chosen, method, member)

    def describe(self) -> EnsembleDescription:
        """Return which models answer."""
        ensemble = self._ensemble
        digests = ensemble.metadata["content_hash"]
        members = []
        for key, standing in self._guarded.standing().items():
            name, _, version = key.partition("@")
            members.append(
                MemberSummary(
                    key=key,
                    name=name,
                    version=version,
                    weight=ensemble.weights[key],
                    sha256=digests[key],
                    failures=standing.failed,
                    late=standing.late,
                    skipped=standing.skipped,
                    state=standing.state,
                )
            )
        return EnsembleDescription(
            ensemble.feature_names, ensemble.context, tuple(members), ensemble.metadata.get("training") or {}
        )

    def probe(self) -> int:
        """Score a row of zeros and return the process id, to say which replica is well.

        Raises
        ------
        ModelError
            If no member answers.
        """
        prediction = self._guarded(np.zeros((1, 1, len(self._columns))))
        self._count(prediction)
        if len(prediction.left_out) == len(prediction.members):
            raise ModelError(f"no member answers a row of zeros: {_reasons(prediction)}")
        return os.getpid()

    def metrics(self) -> str:
        """Return this process's metrics in Prometheus' text format."""
        return self._metrics.exposition()

    def _traced(self, tracing: Tracing, parent: str | None) -> Ask:
        """Return what asks a member within a span; its thread may be another, so the parent is named."""
        ensemble = self._ensemble

        def ask(key: str, rows: FloatArray, n_context: int) -> FloatArray:
            with tracing.span(f"member {key}", parent=parent):
                return ensemble.ask(key, rows, n_context)

        return ask

    def _warm_up(self) -> None:
        """Compile the kernels before the first request: arrays from another process are read-only, a type apart."""
        # Past the guard: compiling takes longer than any limit on predictions.
        zeros = np.zeros((1, 1, len(self._columns)))
        self._ensemble(zeros)
        zeros.flags.writeable = False
        self._ensemble(zeros)
        self.probe()
        self._explainer.warm_up()

    def _in_order(self, feature_names: tuple[str, ...], features: FloatArray) -> FloatArray:
        """Return named columns in the order of the schema; other names than its own raise DataError."""
        missing = [name for name in self._columns if name not in feature_names]
        unknown = [name for name in feature_names if name not in self._columns]
        if missing or unknown or len(feature_names) != len(self._columns):
            self._metrics.refused.inc()
            raise DataError(
                f"feature_names do not match the models' {len(self._columns)} features: "
                f"{len(missing)} missing {_some(missing)}, {len(unknown)} unknown {_some(unknown)}"
            )
        ordered = np.empty_like(features)
        ordered[..., [self._columns[name] for name in feature_names]] = features
        return ordered

    def _count(self, prediction: Prediction) -> None:
        for key, reason in prediction.left_out.items():
            self._metrics.left_out.labels(key, reason).inc()


def _reasons(prediction: Prediction) -> str:
    return ", ".join(f"{key} {reason}" for key, reason in prediction.left_out.items())


def _some(names: list[str]) -> str:
    return str(names[:_NAMES_SHOWN])[:-1] + (", …]" if len(names) > _NAMES_SHOWN else "]")
