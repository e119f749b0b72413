"""A block of instants cut into requests, and their answers put together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from serve.client_calls import PredictAnswer, as_block, predict_call
from serve.client_retry import Call
from trader.core.errors import ConflictError, DataError

__all__ = ["Part", "merge", "plan"]

FloatArray = NDArray[np.float64]

_CHALLENGER = "challenger"


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some symbols of one instant: one request. Its arrays are views until `call` writes them.

    Parameters
    ----------
    instant : int
    feature_names, symbols : tuple of str
    window : ndarray of shape (n_context + 1, n_symbols, n_features)
        The instant, after those that a score of it looks back at.
    """

    instant: int
    feature_names: tuple[str, ...]
    symbols: tuple[str, ...]
    window: FloatArray

    def call(self) -> Call[PredictAnswer]:
        """Return the request."""
        return predict_call(self.feature_names, self.symbols, self.window[-1], self.window[:-1])


def plan(
    feature_names: Sequence[str],
    symbols: Sequence[str],
    features: ArrayLike,
    context: ArrayLike | None,
    *,
    look_back: int,
    batch_rows: int,
) -> list[Part]:
    """Cut a block into requests of at most `batch_rows` rows, instant by instant.

    Parameters
    ----------
    feature_names, symbols, features, context
        See `serve.client_calls.as_block`.
    look_back : int
        Instants before its own that a score looks at; each request carries as many of them as there are.
    batch_rows : int
        Most rows of a request, those of the context included.

    Raises
    ------
    DataError
        If `as_block` does, or models that look back do not find all symbols of an instant in one request: they may
        compare symbols, so that the scores of a part are not those of the whole.
    """
    block, n_context = as_block(feature_names, symbols, features, context)
    names, named = tuple(feature_names), tuple(symbols)
    n_looked_at = min(look_back, len(block) - 1) + 1
    step = batch_rows
    if look_back:
        step = len(named)
        if len(named) * n_looked_at > batch_rows:
            raise DataError(
                f"{len(named)} symbols at {n_looked_at} instants are {len(named) * n_looked_at} rows; "
                f"batch_rows={batch_rows} are allowed in a request, and models that look back need all symbols in one"
            )
    return [
        Part(
            instant - n_context,
            names,
            named[first : first + step],
            block[max(0, instant - look_back) : instant + 1, first : first + step],
        )
        for instant in range(n_context, len(block))
        for first in range(0, len(named), step)
    ]


def merge(parts: Sequence[Part], answers: Sequence[PredictAnswer]) -> list[PredictAnswer]:
    """Return one answer an instant, from those of its parts.

    In an experiment, a part without a symbol of the challenger's does not have the challenger's members: they are NaN
    there.

    Raises
    ------
    ConflictError
        If an instant was scored by different members otherwise: scores of different models cannot be compared.
    """
    by_instant: dict[int, list[PredictAnswer]] = {}
    for part, answer in zip(parts, answers, strict=True):
        by_instant.setdefault(part.instant, []).append(answer)
    return [_joined(instant, pieces) for instant, pieces in by_instant.items()]


def _joined(instant: int, pieces: list[PredictAnswer]) -> PredictAnswer:
    if len(pieces) == 1:
        return pieces[0]
    mixed = [piece for piece in pieces if _CHALLENGER in piece.variants]
    plain = [piece for piece in pieces if _CHALLENGER not in piece.variants]
    widest = (mixed or plain)[0]
    for alike in (mixed, plain):
        for piece in alike:
            if piece.members.keys() != alike[0].members.keys() or not piece.members.keys() <= widest.members.keys():
                raise ConflictError(
                    f"instant {instant} was scored by {sorted(widest.members)} and by {sorted(piece.members)}: the "
                    "models changed, or one of them failed, between its requests; ask again"
                )
    return PredictAnswer(
        tuple(symbol for piece in pieces for symbol in piece.symbols),
        np.concatenate([piece.scores for piece in pieces]),
        {key: np.concatenate([_column(piece, key) for piece in pieces]) for key in widest.members},
        widest.versions,
        tuple(variant for piece in pieces for variant in piece.variants),
        tuple(request_id for piece in pieces for request_id in piece.request_ids),
    )


def _column(piece: PredictAnswer, member: str) -> FloatArray:
    """Return a member's scores of a piece, shape (n_symbols,); NaN where it was not asked."""
    return piece.members[member] if member in piece.members else np.full(len(piece.symbols), np.nan)
