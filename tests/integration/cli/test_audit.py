"""`trader audit list`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trader.storage import Store
from trader.storage.audit import AuditEntry, AuditLog


def test_the_log_is_shown_newest_first(trader: Callable[..., Any], tmp_path: Path) -> None:
    """As a table that says how to go on, and as JSON; who is nobody is a dash."""
    url = f"sqlite:///{tmp_path}/trader.db"
    with Store.open(url) as store:
        for n, (who, role, status, outcome) in enumerate(
            (("ada", "trader", 201, "done"), (None, None, 401, "denied"), ("ann", "admin", 200, "done"))
        ):
            log_entry = AuditEntry(n, f"r-{n}", who, role, "POST", "/v1/experiments", "ab" * 32, status, outcome)  # type: ignore[arg-type]
            AuditLog(store).add(log_entry)
    shown = trader("audit", "list", "--store", url, "--limit", "2")
    assert shown.code == 0, shown.err
    assert "ann" in shown.out
    assert "POST /v1/experiments" in shown.out
    assert "ada" not in shown.out
    assert "--before 2" in shown.err
    older = trader("audit", "list", "--store", url, "--before", "2", "--json")
    (entry,) = json.loads(older.out)
    assert (entry["entry_no"], entry["who"], entry["outcome"], entry["body_sha256"]) == (1, "ada", "done", "ab" * 32)
    bad = trader("audit", "list", "--store", url, "--limit", "0")
    assert (bad.code, bad.out) == (2, "")
    assert "limit=0 is not allowed; 1 to 1000 is" in bad.err
