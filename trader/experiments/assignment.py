"""Which variant answers for which key: sticky, by a keyed hash.

A key's place is the SipHash-2-4 [1]_ of its UTF-8 under a secret, over 2**64; the secret is the BLAKE2b, 16 bytes, of
the experiment's salt. The challenger's keys are those below its share, the holdout's those at the top. So a key keeps
its variant as long as the shares stay, a challenger whose share grows keeps all the keys it had, and two experiments
split the same keys independently.

References
----------
.. [1] Aumasson and Bernstein (2012), "SipHash: a fast short-input PRF".
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trader.core.errors import UserError
from trader.experiments.kernels import siphash

__all__ = ["Split", "Variant", "assign", "places"]


class Variant(IntEnum):
    """Who answers for a key. The holdout is answered by the champion and left out of the comparison."""

    CHAMPION = 0
    CHALLENGER = 1
    HOLDOUT = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Split:
    """How keys are shared out.

    Parameters
    ----------
    salt : str
        Names the experiment; the same keys fall differently under another.
    challenger : float, default=0.1
        Share of the keys that the challenger answers for, in [0, 1].
    holdout : float, default=0.0
        Share that is left out, in [0, 1].

    Raises
    ------
    UserError
        If the salt is empty, a share is out of range, or they come to more than 1.
    """

    salt: str
    challenger: float = 0.1
    holdout: float = 0.0

    def __post_init__(self) -> None:
        if not self.salt:
            raise UserError("salt is empty; it must name the experiment")
        for name in ("challenger", "holdout"):
            share = getattr(self, name)
            if not 0.0 <= share <= 1.0:
                raise UserError(f"{name}={share} is not allowed; a share is between 0 and 1")
        if self.challenger + self.holdout > 1.0:
            raise UserError(f"challenger={self.challenger} and holdout={self.holdout} are more than 1 together")

    @property
    def champion(self) -> float:
        """Share of the keys that are compared and that the champion answers for."""
        return 1.0 - self.challenger - self.holdout

    def at(self, challenger: float) -> Split:
        """Return the split with another share for the challenger; its keys of before stay its own if it grows."""
        return dataclasses.replace(self, challenger=challenger)


def places(keys: Sequence[str], salt: str) -> NDArray[np.float64]:
    """Return where keys fall in [0, 1), shape (n_keys,): uniform, independent between salts.

    >>> places(["AAPL", "MSFT"], "e1").round(6).tolist()
    [0.39431, 0.251537]
    """
    secret = hashlib.blake2b(salt.encode(), digest_size=16).digest()
    k0, k1 = np.frombuffer(secret, "<u8")
    column = pa.array(keys, pa.string())
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets or bytes(4), "<i4")[: len(column) + 1]
    hashed = siphash(np.frombuffer(data or b"", np.uint8), ends, k0, k1)
    # 53 bits are what a double holds; more would round some places up to 1.
    place: NDArray[np.float64] = (hashed >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return place


def assign(keys: Sequence[str], split: Split) -> NDArray[np.int8]:
    """Return the `Variant` of each key, shape (n_keys,).

    >>> assign([f"S{n}" for n in range(10)], Split("e1", challenger=0.5)).tolist()
    [0, 0, 0, 1, 1, 1, 0, 0, 0, 1]
    """
    place = places(keys, split.salt)
    variants = np.zeros(place.size, np.int8)
    variants[place < split.challenger] = Variant.CHALLENGER
    variants[place >= 1.0 - split.holdout] = Variant.HOLDOUT
    return variants
