"""Stamps with nanoseconds, against numpy's reading of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.data.live.stamps import StampReader, stamp_text

TIMES = st.integers(min_value=0, max_value=7_258_118_399_999_999_999)
WRONG = [
    "",
    "Z",
    "2021-02-22",
    "2021-02-22T15:51:44",
    "2021-02-22T15:51:44.208",
    "2021-02-22T15:51:44.208+00:00",
    "2021-02-22T15:51:44.Z",
    "2021-02-22T15:51:44,208Z",
    "2021-02-22T15:51:44.2081234567Z",
    "2021-02-22T15:51:44.-08Z",
    "2021-02-30T15:51:44.208Z",
    "1969-12-31T23:59:59Z",
    "9999-01-01T00:00:00Z",
    "2021-2-22T15:51:44.1Z",
]


def _texts(ns: int) -> list[str]:
    """All ways to write a time."""
    whole = stamp_text(ns)[:-1]
    head, _, digits = whole.partition(".")
    short = digits.rstrip("0")
    return [f"{head}.{digits[:n]}Z" for n in range(max(1, len(short)), 10)] + ([] if short else [f"{head}Z"])


@given(TIMES)
def test_every_way_to_write_a_time_is_read(ns: int) -> None:
    """To the nanosecond, with as many decimals as there are."""
    reader = StampReader()
    texts = _texts(ns)
    assert [reader.read(text) for text in texts] == [ns] * len(texts)
    assert np.datetime64(texts[0][:-1], "ns").astype(np.int64) == ns


@given(st.integers(0, 7_258_118_399), st.lists(st.integers(0, 999_999_999), min_size=1, max_size=60), st.booleans())
def test_many_are_read_as_one_by_one(second: int, parts: list[int], is_short: bool) -> None:
    """Of one second or the next, with and without trailing zeros."""
    expected = [second * 1_000_000_000 + part for part in parts]
    texts = [_texts(ns)[0] if is_short else stamp_text(ns) for ns in expected]
    assert StampReader().read_many(texts) == expected


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("place", [0, 7, 19])
def test_other_forms_are_refused_alone(wrong: str, place: int) -> None:
    """A single one raises; among many it is -1 and the others are read."""
    reader = StampReader()
    with pytest.raises(ValueError, match="is not of the form"):
        reader.read(wrong)
    texts = [stamp_text(1_614_009_104_000_000_000 + n) for n in range(20)]
    texts[place] = wrong
    found = reader.read_many(texts)
    assert found[place] == -1
    assert [ns - 1_614_009_104_000_000_000 for ns in found if ns >= 0] == [n for n in range(20) if n != place]
