"""What is explained: a model, a member of an ensemble in the ensemble's unit, or the ensemble."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError, NotFoundError
from trader.core.protocols import Model
from trader.models.checksums import content_hash, hash_folder
from trader.models.ensemble import Ensemble
from trader.models.kernels import combine

__all__ = ["ENSEMBLE", "Part", "Subject", "model_fingerprint", "subject_of"]

FloatArray = NDArray[np.float64]

ENSEMBLE = "ensemble"


class Part(NamedTuple):
    """One model of a subject: it adds `weight * factor * score`, the weights being those of a mean."""

    key: str
    model: Model
    weight: float
    factor: float


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """Scores that are a weighted mean of models' scores, each times a factor; a single model is a mean of one.

    Parameters
    ----------
    name : str
    parts : tuple of Part
        At least one, all of one schema.
    sha256 : str
        Identifies the models and how they are combined.
    """

    name: str
    parts: tuple[Part, ...]
    sha256: str

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The schema."""
        return self.parts[0].model.feature_names

    @property
    def context(self) -> int:
        """Instants that a score looks at, its own included."""
        return max(part.model.context for part in self.parts)

    def scores(self, features: FloatArray, n_context: int = 0) -> FloatArray:
        """Score all but the first `n_context` instants of features (n_context + n_slices, n_symbols, n_features).

        The scores are bit-identical to those of the ensemble the parts come from, as long as no member raises:
        here its error is the caller's.
        """
        return self._combined(np.stack([_of_part(part, features, n_context) for part in self.parts]))

    def window_scores(self, panels: FloatArray) -> FloatArray:
        """Score the last instant of each of many panels (n_panels, n_instants, n_symbols, n_features).

        Returns
        -------
        ndarray of shape (n_panels, n_symbols)
            The bits that `scores` gives of each panel.
        """
        return self._combined(np.stack([_of_windows(part, panels) for part in self.parts]))

    def shares(self, features: FloatArray, n_context: int = 0) -> FloatArray:
        """Return what a part's own score is multiplied by in each cell, shape (n_parts, n_slices, n_symbols).

        Zero where a part abstains, the weights of the others being renormalised.
        """
        own = np.stack([_of_part(part, features, n_context) for part in self.parts])
        weights = np.array([part.weight for part in self.parts]).reshape(-1, 1, 1) * np.isfinite(own)
        total = weights.sum(axis=0)
        factors = np.array([part.factor for part in self.parts]).reshape(-1, 1, 1)
        shares: FloatArray = np.divide(weights * factors, total, out=np.zeros_like(own), where=total > 0.0)
        return shares

    def _combined(self, own: FloatArray) -> FloatArray:
        weights = np.array([part.weight for part in self.parts])
        factors = np.array([part.factor for part in self.parts])
        mean, _ = combine(own.reshape(len(self.parts), -1), weights, factors)
        scores: FloatArray = mean.reshape(own.shape[1:])
        return scores


def subject_of(source: Model | Ensemble, member: str | None = None, *, name: str | None = None) -> Subject:
    """Return what is to be explained.

    Parameters
    ----------
    source : Model or Ensemble
        Fitted.
    member : str, optional
        `name@version`, or a name that only one member has; its scores are those that `Prediction.members` holds.
        None or `ensemble` takes the whole.
    name : str, optional
        What to call a single model; its kind where not given.

    Raises
    ------
    NotFoundError
        If the ensemble has no such member, or the model is no ensemble.
    """
    if not isinstance(source, Ensemble):
        if member is not None:
            raise NotFoundError(f"member {member!r} is unknown; a single model has none")
        if not source.feature_names:
            raise DataError(f"{source.name} is not fitted; only a fitted model can be explained")
        part = Part(name or source.name, source, 1.0, 1.0)
        return Subject(part.key, (part,), model_fingerprint(source))
    parts = _parts(source)
    if member is None or member == ENSEMBLE:
        return Subject(ENSEMBLE, tuple(parts.values()), _digest(source, tuple(parts.values())))
    chosen = parts[_member_key(parts, member)]._replace(weight=1.0)
    return Subject(chosen.key, (chosen,), _digest(source, (chosen,)))


def _of_part(part: Part, features: FloatArray, n_context: int) -> FloatArray:
    past = min(n_context, part.model.context - 1)
    return part.model.predict_panel(features[n_context - past :], past)


def _of_windows(part: Part, panels: FloatArray) -> FloatArray:
    if part.model.context == 1:
        return part.model.predict_panel(panels[:, -1])
    n_past = panels.shape[1] - 1
    batched: Callable[[FloatArray], FloatArray] | None = getattr(part.model, "predict_windows", None)
    if batched is not None:
        return batched(panels[:, max(0, n_past + 1 - part.model.context) :])
    return np.concatenate([_of_part(part, panel, n_past) for panel in panels])


def model_fingerprint(model: Model) -> str:
    """Return one SHA-256 for the files that the model saves: equal models have equal fingerprints."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
        return content_hash(hash_folder(Path(folder)))


def _parts(ensemble: Ensemble) -> dict[str, Part]:
    unit = sum(ensemble.weights[key] * ensemble.scales[key] for key in ensemble.members)
    return {
        key: Part(key, model, ensemble.weights[key], unit / ensemble.scales[key])
        for key, model in ensemble.members.items()
    }


def _member_key(parts: Mapping[str, Part], member: str) -> str:
    if member in parts:
        return member
    named = [key for key in parts if key.partition("@")[0] == member]
    if len(named) != 1:
        known = ", ".join((*parts, ENSEMBLE))
        found = f"is more than one of {', '.join(named)}" if named else "is unknown"
        raise NotFoundError(f"member {member!r} {found}; allowed are {known}")
    return named[0]


def _digest(ensemble: Ensemble, parts: tuple[Part, ...]) -> str:
    known: Mapping[str, str] = ensemble.metadata.get("content_hash", {})
    return content_hash(
        {
            f"{part.key} {part.weight!r} {part.factor!r}": known.get(part.key) or model_fingerprint(part.model)
            for part in parts
        }
    )
