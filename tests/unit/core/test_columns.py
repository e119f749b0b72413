"""The columnar messages: shape, dtype, immutability, equality."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.core.market import TradeBatch


def _trades(n: int = 3) -> TradeBatch:
    stamps = np.arange(n)
    return TradeBatch(
        ts_event_ns=stamps, ts_recv_ns=stamps, symbol_id=stamps, price=stamps + 1.5, size=stamps, side=np.ones(n)
    )


def test_columns_take_the_declared_dtype() -> None:
    """Integers given for prices become float64, and so on."""
    assert _trades().price.dtype == np.float64
    assert _trades().symbol_id.dtype == np.int32


def test_columns_are_read_only() -> None:
    """A message cannot be written to, and the caller's own array stays writable."""
    price = np.ones(3)
    batch = TradeBatch(
        ts_event_ns=[1, 2, 3], ts_recv_ns=[1, 2, 3], symbol_id=[0, 0, 0], price=price, size=price, side=[0, 0, 0]
    )
    with pytest.raises(ValueError, match="read-only"):
        batch.price[0] = 2.0
    price[0] = 9.0
    assert batch.price[0] == 9.0


def test_unequal_lengths_are_refused() -> None:
    """The message names the column and both lengths."""
    with pytest.raises(DataError, match=r"TradeBatch\.price has 2 rows; the others have 3"):
        TradeBatch(ts_event_ns=[1, 2, 3], ts_recv_ns=[1, 2, 3], symbol_id=[0, 0, 0], price=[1, 2], size=[1], side=[0])


def test_two_dimensions_are_refused() -> None:
    """A matrix is no column."""
    with pytest.raises(DataError, match="has 2 dimensions"):
        TradeBatch(ts_event_ns=[[1]], ts_recv_ns=[1], symbol_id=[0], price=[1], size=[1], side=[0])


def test_take_concat_and_equality_agree() -> None:
    """Cutting a batch and joining the pieces gives an equal batch."""
    whole = _trades(5)
    pieces = [whole.take(slice(0, 2)), whole.take(np.arange(5) >= 2)]
    assert TradeBatch.concat(pieces) == whole
    assert TradeBatch.concat([]) == TradeBatch.empty()
    assert whole != _trades(4)


def test_messages_survive_pickling() -> None:
    """Ray moves messages by pickle protocol 5."""
    assert pickle.loads(pickle.dumps(_trades(), protocol=5)) == _trades()
