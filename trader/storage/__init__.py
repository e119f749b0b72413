"""The append-only record of every run: SQLite by default, PostgreSQL by URL.

>>> from trader.storage import Store
>>> with Store.open("sqlite://") as store:
...     store.runs()
[]
"""

from trader.storage.engine import redact
from trader.storage.records import (
    Appended,
    DecisionTable,
    EventRecord,
    FinalStatus,
    OrderTrace,
    RunMode,
    RunRecord,
    RunStatus,
    ShareChange,
    VariantMark,
)
from trader.storage.store import Store

__all__ = [
    "Appended",
    "DecisionTable",
    "EventRecord",
    "FinalStatus",
    "OrderTrace",
    "RunMode",
    "RunRecord",
    "RunStatus",
    "ShareChange",
    "Store",
    "VariantMark",
    "redact",
]
