from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from trader.core.errors import DataError
from trader.data.conditions import CONDITIONS, read_conditions, updates

MASSIVE = {
    "high_low, last, volume": "1 3 4 6 8 9 11 14 17 18 19 23 24 25 27 28 30 31 34 35 36 41 55",
    "high_low, volume": "5 10 22 32 33",
    "volume": "2 7 12 13 20 21 29 37 52 53",
    "high_low, last": "38",
    "": "15 16",
}
"""What each id updates in consolidated prices, from a published reference of Massive's conditions."""


def column(*words: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(words, pa.string())])


@pytest.mark.parametrize("what", MASSIVE, ids=lambda what: what or "nothing")
def test_the_table_agrees_with_a_vendors(what: str) -> None:
    """Every id updates what the reference says."""
    ids = MASSIVE[what].split()
    allowed = updates(read_conditions(column(*ids), "massive"), "consolidated")
    for field, mask in zip(allowed._fields, allowed, strict=True):
        assert mask.tolist() == [field in what] * len(ids), field


def test_bits_and_letters_are_of_one_condition_each() -> None:
    """No code means two things."""
    for codes in ("cta", "utp", "massive"):
        given = [code for condition in CONDITIONS for code in getattr(condition, codes)]
        assert len(given) == len(set(given)), codes
    assert [condition.bit for condition in CONDITIONS] == list(range(len(CONDITIONS)))


def test_the_same_trade_in_three_vocabularies() -> None:
    """An extended-hours sweep of an odd lot, and an average-price trade, which has another letter on each tape."""
    sweep = {"flags": "80002020", "cta": "@FTI", "massive": "14,12 37"}
    masks = {codes: int(read_conditions(column(word), codes)[0]) for codes, word in sweep.items()}  # type: ignore[arg-type]
    assert masks["flags"] == masks["cta"] == 1 << 31 | 1 << 13 | 1 << 5
    for word, codes in (("B", "cta"), ("W", "utp"), ("2", "massive"), ("100000", "flags")):
        assert read_conditions(column(word), codes).tolist() == [1 << 20], codes  # type: ignore[arg-type]
    assert read_conditions(column("@", " ", "", None), "cta").tolist() == [1, 1, 0, 0]


def test_all_conditions_of_a_trade_must_allow() -> None:
    """A regular trade that came late counts for the range alone; the settlement letter does not make it ordinary."""
    late = read_conditions(column("@ Z"), "cta")
    assert [mask.tolist() for mask in updates(late, "consolidated")] == [[False], [True], [True]]
    sweeps = read_conditions(column("@F", "@", "@O", "M"), "cta")
    assert [mask.tolist() for mask in updates(sweeps, "ordinary")] == [
        [False, True, True, False],
        [False, True, True, False],
        [True, True, True, False],
    ]
    assert all(mask.all() for mask in updates(sweeps, "all"))


@pytest.mark.parametrize(
    ("word", "codes", "message"),
    [
        ("xyz", "flags", "column 'cond' holds 'xyz'; 32 hexadecimal bits are allowed"),
        ("100000000", "flags", "column 'cond' holds '100000000'; 32 hexadecimal bits are allowed"),
        ("@J", "cta", "'J' is no cta code"),
        ("14,999", "massive", "'999' is no massive code"),
        ("1", "sip", "codes='sip' of sale conditions; allowed are flags, cta, utp, massive"),
    ],
)
def test_unknown_codes_are_refused(word: str, codes: str, message: str) -> None:
    """A code nobody knows must not pass for a regular trade."""
    with pytest.raises(DataError, match=message):
        read_conditions(column(word), codes, "cond")  # type: ignore[arg-type]


def test_unknown_rule() -> None:
    """The error names what is allowed."""
    with pytest.raises(DataError, match="rule='best' of sale conditions; allowed are all, consolidated, ordinary"):
        updates(np.zeros(1, np.int64), "best")  # type: ignore[arg-type]
