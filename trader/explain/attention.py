"""Where the market transformer looks when it scores an instant."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.explain.explainer import UnsupportedMethodError
from trader.explain.instant import Instant
from trader.explain.sequence import transformer_of
from trader.explain.subject import Subject

__all__ = ["AttentionSummary", "attention_of"]

FloatArray = NDArray[np.float64]

CAUTION = (
    "Attention says where the network looked, not what it made of it: weights of one block mix what earlier "
    "blocks have mixed already."
)


@dataclasses.dataclass(frozen=True, slots=True)
class AttentionSummary:
    """Attention weights of the last patch at one instant, the mean over heads; they sum to 1 over the last axis.

    Parameters
    ----------
    subject : str
    time : ndarray of shape (n_layers, n_symbols, n_patches)
        Of each symbol over its own past, oldest first.
    assets : ndarray of shape (n_layers, n_symbols, n_symbols)
        Of each symbol (second axis) over all (third axis).
    patch : int
        Instants in a patch.
    seconds : float

    References
    ----------
    .. [1] Jain and Wallace (2019), "Attention is not explanation".
    """

    subject: str
    time: FloatArray
    assets: FloatArray
    patch: int
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return dataclasses.asdict(self) | {"time": self.time.tolist(), "assets": self.assets.tolist()}


def attention_of(subject: Subject, instant: Instant) -> AttentionSummary:
    """Return where a transformer looks at an instant; it scores all symbols, chosen or not.

    Raises
    ------
    UnsupportedMethodError
        If the subject is not a single transformer.
    """
    started = time.perf_counter()
    model = transformer_of(subject)
    if model is None:
        raise UnsupportedMethodError(f"method='attention' needs a transformer, alone; {subject.name} is none")
    maps = model.attention(*instant.panel(model.context))
    return AttentionSummary(
        subject=subject.name,
        time=maps.time[0].mean(axis=2),
        assets=maps.assets[0].mean(axis=1),
        patch=model.patch,
        seconds=time.perf_counter() - started,
    )
