"""One way in to every local explanation, remembered by content."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from typing import Any, Literal, get_args

from trader.core.errors import DataError
from trader.core.protocols import Model
from trader.explain.cache import ExplanationCache
from trader.explain.instant import Instant
from trader.explain.lime import LimeSettings, lime_values
from trader.explain.results import Attribution
from trader.explain.shap import shap_values
from trader.explain.subject import Subject, subject_of
from trader.models.background import Background
from trader.models.ensemble import Ensemble

__all__ = ["METHODS", "Explainer", "ExplainSettings", "Method", "UnsupportedMethodError"]

Method = Literal["shap", "lime", "ig"]
METHODS: tuple[str, ...] = get_args(Method)

_NETWORK = "transformer"


@dataclasses.dataclass(frozen=True, slots=True)
class ExplainSettings:
    """How much work an explanation may be.

    Parameters
    ----------
    rounds : int
        Turns of each background row where SHAP values are sampled.
    lime : LimeSettings
    seed : int
        Of every sampling.
    """

    rounds: int = 2
    lime: LimeSettings = dataclasses.field(default_factory=LimeSettings)
    seed: int = 0


class UnsupportedMethodError(DataError):
    """The method is unknown, or cannot explain this model."""


class Explainer:
    """Explains the scores of a model or an ensemble and its members.

    Parameters
    ----------
    source : Model or Ensemble
        Fitted.
    background : Background
        Of the same features.
    settings : ExplainSettings, optional
    cache : ExplanationCache, optional
        None keeps the last 256 in memory.
    name : str, optional
        What to call a single model.

    Raises
    ------
    DataError
        If the background has not the model's number of features.
    """

    def __init__(
        self,
        source: Model | Ensemble,
        background: Background,
        *,
        settings: ExplainSettings | None = None,
        cache: ExplanationCache | None = None,
        name: str | None = None,
    ) -> None:
        if background.rows.shape[1] != len(source.feature_names):
            raise DataError(
                f"the background has {background.rows.shape[1]} columns; the model has {len(source.feature_names)}"
            )
        self._source = source
        self._name = name
        self.background = background
        self.settings = settings or ExplainSettings()
        self.cache = cache or ExplanationCache()
        self._subjects: dict[str | None, Subject] = {}

    def subject(self, member: str | None = None) -> Subject:
        """Return what is explained under that name; see `trader.explain.subject.subject_of`."""
        if member not in self._subjects:
            self._subjects[member] = subject_of(self._source, member, name=self._name)
        return self._subjects[member]

    def explain(self, instant: Instant, method: str = "shap", member: str | None = None) -> Attribution:
        """Explain the chosen rows of an instant.

        Parameters
        ----------
        instant : Instant
        method : {"shap", "lime", "ig"}
        member : str, optional
            A member of the ensemble; None explains the whole.

        Raises
        ------
        UnsupportedMethodError
            If the method is unknown or cannot explain the subject.
        DataError
            If the features are not of the schema.
        NotFoundError
            If there is no such member.
        ModelError
            If values that must add up to the scores do not.
        """
        run = _runners().get(method)
        if run is None:
            raise UnsupportedMethodError(f"method={method!r} is unknown; allowed are {', '.join(METHODS)}")
        subject = self.subject(member)
        if instant.features.shape[1] != len(subject.feature_names):
            raise DataError(
                f"features have {instant.features.shape[1]} columns; the model has {len(subject.feature_names)}"
            )
        key = self._key(subject, instant, method)
        found = self.cache.get(key)
        if found is None:
            found = run(subject, instant, self.background, self.settings)
            self.cache.put(key, found)
        return found

    def _key(self, subject: Subject, instant: Instant, method: str) -> str:
        facts: dict[str, Any] = {
            "subject": [subject.name, subject.sha256],
            "method": method,
            "rows": instant.digest(subject.context),
            "background": [self.background.source, self.background.sha256],
            "settings": dataclasses.asdict(self.settings),
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _runners() -> dict[str, Callable[[Subject, Instant, Background, ExplainSettings], Attribution]]:
    return {"shap": _shap, "lime": _lime, "ig": _ig}


def _shap(subject: Subject, instant: Instant, background: Background, settings: ExplainSettings) -> Attribution:
    return shap_values(subject, instant, background, rounds=settings.rounds, seed=settings.seed)


def _lime(subject: Subject, instant: Instant, background: Background, settings: ExplainSettings) -> Attribution:
    return lime_values(subject, instant, background, settings.lime, seed=settings.seed)


def _ig(subject: Subject, instant: Instant, background: Background, settings: ExplainSettings) -> Attribution:  # noqa: ARG001
    if not any(part.model.name == _NETWORK for part in subject.parts):
        raise UnsupportedMethodError(f"method='ig' needs a model with gradients; {subject.name} has none")
    from trader.explain.sequence import gradient_values, transformer_of

    model = transformer_of(subject)
    if model is None:
        names = ", ".join(part.key for part in subject.parts if part.model.name == _NETWORK)
        raise UnsupportedMethodError(f"method='ig' explains one network, not {subject.name}; name its member {names}")
    return gradient_values(subject, model, instant, background_sha256=background.sha256)
