"""The audit log on both databases."""

from __future__ import annotations

import pytest

from trader.core.errors import UserError
from trader.storage import Store
from trader.storage.audit import AuditEntry, AuditLog, outcome_of


def test_entries_come_back_newest_first_in_pages(store: Store) -> None:
    """What was written is read to the last field; the database counts, and a page ends where it is told to."""
    log = AuditLog(store)
    written = [
        AuditEntry(
            n, f"r-{n}", *(("ada", "trader") if n % 2 else (None, None)), "POST", "/v1/x", "ab" * 32, 201, "done"
        )
        for n in range(5)
    ]
    for entry in written:
        log.add(entry)
    entries = log.page()
    assert [(entry.ts_ns, entry.who, entry.role) for entry in entries] == [
        (entry.ts_ns, entry.who, entry.role) for entry in reversed(written)
    ]
    first, second = log.page(2), log.page(2, before=entries[1].entry_no)
    assert [*first, *second] == entries[:4]
    assert log.page(1000, before=entries[-1].entry_no) == []
    for limit in (0, 1001):
        with pytest.raises(UserError, match=f"limit={limit}"):
            log.page(limit)


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, "done"), (401, "denied"), (403, "denied"), (404, "refused"), (500, "failed")]
)
def test_outcomes(status: int, outcome: str) -> None:
    assert outcome_of(status) == outcome
