"""Compiled hashing of many short keys."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["siphash"]

_BYTE = np.uint64(0xFF)
_LEFT_13, _LEFT_16, _LEFT_17, _LEFT_21, _LEFT_32 = (np.uint64(n) for n in (13, 16, 17, 21, 32))
_RIGHT_51, _RIGHT_48, _RIGHT_47, _RIGHT_43 = (np.uint64(n) for n in (51, 48, 47, 43))


@njit(cache=True)
def siphash(data: NDArray[np.uint8], offsets: NDArray[np.int32], k0: np.uint64, k1: np.uint64) -> NDArray[np.uint64]:
    """Return SipHash-2-4 of each key under (k0, k1), shape (n_keys,).

    Parameters
    ----------
    data : ndarray of uint8
        The bytes of all keys, one after another.
    offsets : ndarray of int32, shape (n_keys + 1,)
        Where each begins, and the last one ends.
    k0, k1 : uint64
        The halves of the secret, little-endian.
    """
    hashes = np.empty(offsets.size - 1, np.uint64)
    for i in range(hashes.size):
        first, end = offsets[i], offsets[i + 1]
        v0 = k0 ^ np.uint64(0x736F6D6570736575)
        v1 = k1 ^ np.uint64(0x646F72616E646F6D)
        v2 = k0 ^ np.uint64(0x6C7967656E657261)
        v3 = k1 ^ np.uint64(0x7465646279746573)
        for start in range(first, end + 1, 8):
            stop = min(start + 8, end)
            word = np.uint64(0)
            for j in range(start, stop):
                word |= np.uint64(data[j]) << np.uint64(8 * (j - start))
            if stop < start + 8:
                word |= (np.uint64(end - first) & _BYTE) << np.uint64(56)
            v3 ^= word
            for _ in range(2):
                v0, v1, v2, v3 = _round(v0, v1, v2, v3)
            v0 ^= word
        v2 ^= _BYTE
        for _ in range(4):
            v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        hashes[i] = v0 ^ v1 ^ v2 ^ v3
    return hashes


@njit(cache=True)
def _round(
    v0: np.uint64, v1: np.uint64, v2: np.uint64, v3: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    v0 += v1
    v1 = ((v1 << _LEFT_13) | (v1 >> _RIGHT_51)) ^ v0
    v0 = (v0 << _LEFT_32) | (v0 >> _LEFT_32)
    v2 += v3
    v3 = ((v3 << _LEFT_16) | (v3 >> _RIGHT_48)) ^ v2
    v0 += v3
    v3 = ((v3 << _LEFT_21) | (v3 >> _RIGHT_43)) ^ v0
    v2 += v1
    v1 = ((v1 << _LEFT_17) | (v1 >> _RIGHT_47)) ^ v2
    v2 = (v2 << _LEFT_32) | (v2 >> _LEFT_32)
    return v0, v1, v2, v3
