"""Requests and answers of the HTTP interface, validated strictly: no coercion, no unknown keys, no infinities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

__all__ = [
    "Health",
    "MemberDescription",
    "Message",
    "ModelVersion",
    "ModelsResponse",
    "PredictRequest",
    "PredictResponse",
    "Score",
    "Symbol",
    "Whole",
]


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


FeatureName = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Symbol = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Whole = BeforeValidator(_whole)
"""For an int: JSON has one kind of number, and JSON Schema calls 7.0 an integer, so it is one; "7" and true are not."""
Score = float | None
"""A score; null means that the model abstains."""


class Message(BaseModel):
    """Base of all messages."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True)


class PredictRequest(Message):
    """One instant to be scored: a row of features for each symbol."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "feature_names": ["return_5", "volatility_20"],
                    "symbols": ["AAPL", "MSFT"],
                    "features": [[0.012, 0.21], [-0.004, None]],
                }
            ]
        }
    )

    feature_names: Annotated[list[FeatureName], Field(min_length=1, max_length=1024)]
    """Names of the columns, in any order; they must be exactly the ensemble's."""
    symbols: Annotated[list[Symbol], Field(min_length=1)]
    """Names of the rows."""
    features: Annotated[list[list[Number | None]], Field(min_length=1)]
    """One row a symbol, one number a feature; null is a missing value."""
    context: list[list[list[Number | None]]] = []
    """Features of the instants before, oldest first, each of the shape of `features`: what a sequence model looks
    back at. `GET /v1/models` says how many instants it looks at; missing ones count as unknown."""
    key: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    """Account, user or request that an experiment assigns to one variant, for all symbols; null assigns by symbol."""

    @model_validator(mode="after")
    def _shapes_agree(self) -> Self:
        for field, names in (("feature_names", self.feature_names), ("symbols", self.symbols)):
            if len(set(names)) != len(names):
                twice = sorted({name for name in names if names.count(name) > 1})[:5]
                raise ValueError(f"{field} holds {twice} more than once; every name may occur once")
        width = len(self.feature_names)
        for name, rows in self._tables():
            if len(rows) != len(self.symbols):
                raise ValueError(
                    f"{name} has {len(rows)} rows for {len(self.symbols)} symbols; one row a symbol is allowed"
                )
            for i, row in enumerate(rows):
                if len(row) != width:
                    raise ValueError(f"{name}[{i}] has {len(row)} numbers for {width} feature_names")
        return self

    @property
    def n_rows(self) -> int:
        """Rows of features, those of the context included."""
        return len(self.symbols) * (len(self.context) + 1)

    def panel(self) -> NDArray[np.float64]:
        """Return context and features, shape (n_context + 1, n_symbols, n_features), NaN where null."""
        return np.array([*self.context, self.features], dtype=np.float64)

    def _tables(self) -> Iterator[tuple[str, list[list[float | None]]]]:
        yield "features", self.features
        for i, instant in enumerate(self.context):
            yield f"context[{i}]", instant


class ModelVersion(Message):
    """A member of the ensemble."""

    name: str
    version: str


class PredictResponse(Message):
    """Scores in the order of the request's symbols."""

    request_id: str
    symbols: list[str]
    scores: list[Score]
    """Expected return over the horizon in units of the symbol's own volatility; null abstains."""
    members: dict[str, list[Score]]
    """Scores of each member, by `name@version`."""
    models: list[ModelVersion]
    """The members that were asked."""
    variants: list[Literal["champion", "challenger"]]
    """Who gave each score; without an experiment the champion gives all."""


class MemberDescription(Message):
    """One model of the ensemble."""

    key: str
    """`name@version`, as in the answers of `/v1/predict`."""
    name: str
    version: str
    weight: float
    """Share of the ensemble's score; all shares sum to one."""
    sha256: str
    """Digest of the model's files."""
    failures: int
    """Predictions in which it raised, in the replica that answered; so too `late` and `skipped`."""
    late: int
    """Predictions in which it did not answer within `serve.member_timeout_s`."""
    skipped: int
    """Predictions in which it was left alone because it had failed or been late."""
    state: Literal["closed", "open", "half-open"]
    """`closed`: it is asked; `open`: it is left alone for a while; `half-open`: it is being tried again."""


class ModelsResponse(Message):
    """The ensemble that answers predictions."""

    request_id: str
    feature_names: list[str]
    """The schema: what `/v1/predict` expects, in any order."""
    context: int
    """Instants that a score looks at, its own included: `/v1/predict` takes up to one less as `context`."""
    members: list[MemberDescription]
    training: dict[str, Any]
    """The report saved with the models; empty if none was."""


class Health(Message):
    """Answer of the health routes."""

    status: str
