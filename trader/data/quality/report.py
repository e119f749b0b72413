"""What the checks found."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any, Literal

import numpy as np

__all__ = ["Action", "Finding", "QualityReport", "Severity"]

Severity = Literal["info", "warning", "critical"]
"""`critical` would distort returns or positions, `warning` deserves a look, `info` is for the record."""
Action = Literal["reported", "rejected", "repaired"]
"""What `repair` does about it by default: nothing, drop the rows, or change them."""


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found.

    Parameters
    ----------
    check : str
        Name of the check.
    symbol : str
        Whose bars.
    ts_ns : int
        Close stamp of the (first) bar concerned.
    detail : str
        One sentence for people.
    severity : {"info", "warning", "critical"}
        How much it matters.
    action : {"reported", "rejected", "repaired"}
        What the check's rule asks `repair` to do.
    rows : int
        Bars concerned; for gaps, those that are missing.
    value : float
        The check's own measure: a split's factor, an outlier's size in standard deviations, …
    """

    check: str
    symbol: str
    ts_ns: int
    detail: str
    severity: Severity
    action: Action
    rows: int = 1
    value: float = float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Return it ready for JSON, the time as ISO 8601 and an unknown value as None."""
        plain = dataclasses.asdict(self)
        plain["ts"] = f"{np.datetime64(plain.pop('ts_ns'), 'ns').astype('datetime64[s]')}Z"
        plain["value"] = self.value if np.isfinite(self.value) else None
        return plain


@dataclasses.dataclass(frozen=True, slots=True)
class QualityReport:
    """All findings, ordered by time, then symbol, then check; and what was looked at."""

    findings: tuple[Finding, ...]
    n_bars: int
    symbols: tuple[str, ...]
    checks: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """Return the number of findings of each check that ran, zeros included."""
        found = Counter(finding.check for finding in self.findings)
        return {name: found[name] for name in self.checks}

    def actions(self) -> dict[str, int]:
        """Return the number of findings by action, zeros included."""
        found = Counter(finding.action for finding in self.findings)
        return {action: found[action] for action in ("reported", "rejected", "repaired")}

    def of(self, check: str) -> tuple[Finding, ...]:
        """Return the findings of one check."""
        return tuple(finding for finding in self.findings if finding.check == check)

    def to_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "n_bars": self.n_bars,
            "n_symbols": len(self.symbols),
            "counts": self.counts(),
            "actions": self.actions(),
            "findings": [finding.to_dict() for finding in self.findings],
        }
