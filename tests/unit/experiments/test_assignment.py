"""Keys are shared out as stated, stick to their variant, and two experiments do not share their luck."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trader.core.errors import UserError
from trader.experiments.assignment import Split, Variant, assign, places

KEYS = [f"account-{n}" for n in range(100_000)]


def _siphash_2_4(key: bytes, message: bytes) -> int:
    """SipHash-2-4 as its paper has it."""
    mask = 2**64 - 1

    def rotl(x: int, by: int) -> int:
        return ((x << by) | (x >> (64 - by))) & mask

    k0, k1 = (int.from_bytes(key[i : i + 8], "little") for i in (0, 8))
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rounds(n: int) -> None:
        for _ in range(n):
            v[0] = (v[0] + v[1]) & mask
            v[1] = rotl(v[1], 13) ^ v[0]
            v[0] = rotl(v[0], 32)
            v[2] = (v[2] + v[3]) & mask
            v[3] = rotl(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & mask
            v[3] = rotl(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & mask
            v[1] = rotl(v[1], 17) ^ v[2]
            v[2] = rotl(v[2], 32)

    whole = len(message) // 8 * 8
    words = [int.from_bytes(message[i : i + 8], "little") for i in range(0, whole, 8)]
    words.append(int.from_bytes(message[whole:].ljust(7, b"\0"), "little") | (len(message) & 0xFF) << 56)
    for word in words:
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def test_the_oracle_is_siphash() -> None:
    """The vector of the paper's appendix."""
    assert _siphash_2_4(bytes(range(16)), bytes(range(15))) == 0xA129CA6149BE45E5


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5), st.text(min_size=1, max_size=10))
@settings(max_examples=50, deadline=None)
def test_the_hash_is_the_one_stated(keys: list[str], salt: str) -> None:
    """SipHash-2-4 of the key under the salt's BLAKE2b; keys as short and as long as may be, in any script."""
    secret = hashlib.blake2b(salt.encode(), digest_size=16).digest()
    expected = [(_siphash_2_4(secret, key.encode()) >> 11) * 2.0**-53 for key in keys]
    assert places(keys, salt).tolist() == expected


def test_shares_are_kept_and_salts_are_independent() -> None:
    """Counts are within four standard deviations; a second experiment splits each arm of the first as it does all."""
    first, second = assign(KEYS, Split("one", 0.1, 0.2)), assign(KEYS, Split("two", 0.1, 0.2))
    for arm, share in ((Variant.CHAMPION, 0.7), (Variant.CHALLENGER, 0.1), (Variant.HOLDOUT, 0.2)):
        for inside in (np.ones(len(KEYS), bool), first == Variant.CHALLENGER):
            n, got = int(inside.sum()), int((second[inside] == arm).sum())
            assert abs(got - n * share) < 4 * np.sqrt(n * share * (1 - share))


@given(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 0.5))
@settings(deadline=None)
def test_a_growing_share_keeps_its_keys(small: float, large: float, holdout: float) -> None:
    """A ramp moves keys from the champion to the challenger only."""
    small, large = sorted((small, large))
    split = Split("ramp", small, holdout)
    before, after = assign(KEYS[:500], split), assign(KEYS[:500], split.at(large))
    moved = before != after
    assert (before[moved] == Variant.CHAMPION).all()
    assert (after[moved] == Variant.CHALLENGER).all()


def test_none_and_all() -> None:
    """A share of 0 has no key and one of 1 has them all."""
    assert not assign(KEYS[:1000], Split("x", 0.0)).any()
    assert (assign(KEYS[:1000], Split("x", 1.0)) == Variant.CHALLENGER).all()
    assert assign([], Split("x")).shape == (0,)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"salt": ""}, "salt is empty"),
        ({"challenger": 1.1}, r"challenger=1.1 is not allowed"),
        ({"holdout": float("nan")}, "holdout=nan"),
        ({"challenger": 0.6, "holdout": 0.5}, "more than 1 together"),
    ],
)
def test_impossible_splits_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Split(**{"salt": "x"} | fields)  # type: ignore[arg-type]
