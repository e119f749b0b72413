"""Request and answer of `POST /v1/explain`."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from serve.schema import Message, PredictRequest, Score, Symbol, Whole
from trader.explain.explainer import Method
from trader.explain.subject import ENSEMBLE

__all__ = ["BackgroundDescription", "ExplainRequest", "ExplainResponse", "FeatureShare", "SymbolExplanation"]


class ExplainRequest(PredictRequest):
    """One instant to be explained: what `/v1/predict` takes, and how to explain its scores."""

    method: Method = "shap"
    """`shap`: exact for trees and linear models, sampled for others; `lime`: a linear model of the scores nearby;
    `ig`: integrated gradients, for a member that has gradients."""
    member: Annotated[str, Field(min_length=1, max_length=256)] = ENSEMBLE
    """`name@version` or name of a member, whose scores are those in `members` of `/v1/predict`; or the ensemble."""
    explain: list[Symbol] = Field(default_factory=list)
    """The symbols to be explained, in any order; empty explains all."""
    top: Annotated[int, Field(ge=1), Whole] | None = None
    """Features listed for each symbol, those with the largest values; the others are summed in `rest`. Null lists
    all."""

    @model_validator(mode="after")
    def _explains_what_is_given(self) -> Self:
        if unknown := [symbol for symbol in self.explain if symbol not in self.symbols]:
            raise ValueError(f"explain names {unknown[:5]}, which are not among symbols")
        if len(set(self.explain)) != len(self.explain):
            raise ValueError("explain holds a symbol more than once; every symbol may occur once")
        return self

    @property
    def explained(self) -> list[str]:
        """The symbols to be explained."""
        return self.explain or self.symbols

    def chosen(self) -> NDArray[np.int64]:
        """Return the positions of the symbols to be explained."""
        place = {symbol: position for position, symbol in enumerate(self.symbols)}
        return np.array([place[symbol] for symbol in self.explained], dtype=np.int64)


class FeatureShare(Message):
    """What one feature adds to a score."""

    feature: str
    value: float
    standard_error: Score
    """Of a sampled value; null where it is exact."""


class SymbolExplanation(Message):
    """A score taken apart: base, values and rest add up to it."""

    symbol: str
    score: Score
    base: Score
    values: list[FeatureShare]
    """Largest first; empty where the models abstain."""
    rest: Score
    """Sum of the features that are not listed."""
    additivity_error: Score
    """How far base and values are from the score, all features counted."""
    fidelity: Score
    """Weighted R² of LIME's linear model; null for other methods."""


class BackgroundDescription(Message):
    """What an absent feature is replaced by."""

    statement: str
    rows: str
    """The sample that travels with the models."""
    sha256: str


class ExplainResponse(Message):
    """Explanations in the order of `explain`, or of the symbols where that is empty."""

    request_id: str
    method: str
    algorithm: str
    member: str
    explanations: list[SymbolExplanation]
    background: BackgroundDescription
    tolerance: Score
    """Largest additivity error that is not refused, relative to the numbers involved; null promises none."""
    seconds: float
    """What computing it took; `cached` says whether it was for an earlier request."""
    cached: bool
    warnings: list[str]
