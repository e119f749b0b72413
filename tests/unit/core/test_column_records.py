"""Columns from records: the fast way to make a message."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.trading import orders_of
from trader.core.orders import OrderBatch


def test_records_and_columns_hold_the_same_rows() -> None:
    """There and back, in declaration order and declared types."""
    orders = orders_of({"quantity": 2.5}, {"side": -1, "limit_price": 9.0})
    records = orders.records()
    assert records.dtype == OrderBatch.record_dtype()
    again = OrderBatch.from_records(records)
    assert again == orders
    assert len(again) == 2
    assert {name: column.dtype for name, column in again.columns().items()} == {
        name: np.dtype(dtype) for name, dtype in OrderBatch.DTYPES.items()
    }


def test_columns_from_records_are_read_only() -> None:
    """The records too: a message does not change after it was made."""
    records = orders_of({}).records()
    orders = OrderBatch.from_records(records)
    with pytest.raises(ValueError, match="read-only"):
        orders.quantity[0] = 7.0
    with pytest.raises(ValueError, match="read-only"):
        records["quantity"] = 7.0
