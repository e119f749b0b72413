"""Which trades of a stream may set a price: sale conditions as vendors write them, each way to write them read once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from trader.data.conditions import Rule, known_codes, together, updates

__all__ = ["SaleRule", "Verdict", "Writing", "sale_rule"]

Writing = Literal["letters", "massive"]
"""Letters, which mean what the tape of the trade says, or Massive's ids, which mean the same everywhere."""

_KEPT = 4096


class Verdict(NamedTuple):
    """Whether a trade may set the last price, and whether all of its conditions are known."""

    passes: bool
    is_known: bool


class SaleRule:
    """Judges trades by their conditions, as `updates` does those of a file by `last`.

    A condition that is not known forbids nothing: the trade is judged by the others, and the verdict says so. On a
    tape that is neither A, B nor C, or not told, letters count as known where the rule says the same of them under the
    CTA and the UTP.

    Parameters
    ----------
    rule : {"all", "consolidated", "ordinary"}
    writing : {"letters", "massive"}

    Examples
    --------
    >>> sales = SaleRule("consolidated", "letters")
    >>> sales.judge(msgspec.Raw(b'["@","I"]'), msgspec.Raw(b'"C"'))
    Verdict(passes=False, is_known=True)
    >>> sales.judge(msgspec.Raw(b'["@","?"]'), msgspec.Raw(b'"C"'))
    Verdict(passes=True, is_known=False)
    """

    def __init__(self, rule: Rule, writing: Writing) -> None:
        self._rule = rule
        self._codes: Literal["cta", "massive"] = "massive" if writing == "massive" else "cta"
        self._tables: Mapping[str, Mapping[str, int]] = {}
        if writing == "massive":
            self._other: Mapping[str, int] = known_codes("massive")
        else:
            cta, utp = known_codes("cta"), known_codes("utp")
            self._tables = {"A": cta, "B": cta, "C": utp}
            same = [
                letter for letter in cta if letter in utp and self._allows(cta[letter]) == self._allows(utp[letter])
            ]
            self._other = {letter: cta[letter] for letter in same}
        self._verdicts: dict[tuple[bytes, bytes], Verdict] = {}

    def judge(self, conditions: msgspec.Raw, tape: msgspec.Raw) -> Verdict:
        """Return the verdict on a trade, from the members of its message."""
        key = (bytes(conditions), bytes(tape))
        verdict = self._verdicts.get(key)
        if verdict is None:
            if len(self._verdicts) >= _KEPT:
                self._verdicts.clear()
            verdict = self._verdicts[key] = self._read(*key)
        return verdict

    def _read(self, conditions: bytes, tape: bytes) -> Verdict:
        told = _value(conditions)
        parts = [str(part) for part in told] if isinstance(told, list) else [] if told is None else [str(told)]
        of_tape = _value(tape)
        table = self._tables.get(of_tape, self._other) if isinstance(of_tape, str) else self._other
        bits = [table[part] for part in parts if part in table]
        return Verdict(self._allows(together(bits, self._codes)), len(bits) == len(parts))

    def _allows(self, bits: int) -> bool:
        return bool(updates(np.array([bits], np.int64), self._rule).last[0])


def sale_rule(rule: Rule, writing: Writing) -> SaleRule | None:
    """Return what judges trades; None where every trade passes."""
    return None if rule == "all" else SaleRule(rule, writing)


def _value(raw: bytes) -> Any:
    """Return what a member of a message says; None where it was not there, text that is no code where it is no JSON."""
    try:
        return msgspec.json.decode(raw) if raw else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "not JSON"
