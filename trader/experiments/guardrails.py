"""Limits that a challenger must keep whatever it earns, followed mark by mark."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from trader.storage import VariantMark

__all__ = ["MAX_DRAWDOWN_EXCESS", "MAX_UNANSWERED", "Guardrail", "GuardrailWatch", "broken_text", "was_answered"]

MAX_DRAWDOWN_EXCESS = 0.05
"""How much deeper than the champion's the challenger's drawdown may be, as a fraction of equity."""
MAX_UNANSWERED = 0.01
"""Share of the instants that the challenger may leave unanswered."""


@dataclasses.dataclass(frozen=True, slots=True)
class Guardrail:
    """A limit that a challenger must keep whatever it earns."""

    name: str
    value: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether it is kept."""
        return self.value <= self.limit


class GuardrailWatch:
    """The guardrails of an experiment after each decision, in constant time and space.

    Parameters
    ----------
    at_least : int, default=1
        Decisions that unanswered ones are counted against while there are fewer: one that is lost early is no
        rate yet.

    >>> watch = GuardrailWatch()
    >>> for challenger in (100.0, 90.0):
    ...     watch.add(VariantMark(0, 100.0, challenger, answered=True))
    >>> [guardrail.holds for guardrail in watch.guardrails()]
    [False, True]
    """

    def __init__(self, at_least: int = 1) -> None:
        self._at_least = at_least
        self._n = 0
        self._unanswered = 0
        # Of champion and challenger: the highest equity, and the deepest fall from it.
        self._peaks = [0.0, 0.0]
        self._falls = [0.0, 0.0]

    def add(self, mark: VariantMark) -> None:
        """Take the next mark."""
        self._n += 1
        self._unanswered += not was_answered(mark)
        for i, equity in enumerate((mark.champion, mark.challenger)):
            self._peaks[i] = equity if self._n == 1 else max(self._peaks[i], equity)
            self._falls[i] = max(self._falls[i], 1.0 - equity / self._peaks[i])

    def guardrails(self) -> tuple[Guardrail, Guardrail]:
        """Return where they stand; before the first mark both hold."""
        missing = self._unanswered / max(self._n, self._at_least)
        return (
            Guardrail("drawdown beyond the champion's", max(0.0, self._falls[1] - self._falls[0]), MAX_DRAWDOWN_EXCESS),
            Guardrail("unanswered", missing, MAX_UNANSWERED),
        )

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on, ready for JSON."""
        return {"n": self._n, "unanswered": self._unanswered, "peaks": list(self._peaks), "falls": list(self._falls)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._n, self._unanswered = int(state["n"]), int(state["unanswered"])
        self._peaks, self._falls = list(state["peaks"]), list(state["falls"])


def was_answered(mark: VariantMark) -> bool:
    """Return whether the challenger answered; marks that do not say are taken to if both scored a symbol."""
    return mark.sign_agreement is not None if mark.answered is None else mark.answered


def broken_text(guardrails: tuple[Guardrail, ...]) -> str:
    """Return the guardrails that are broken, for people; empty if all hold.

    >>> broken_text((Guardrail("unanswered", 0.02, 0.01),))
    'unanswered is 2.00%, above 1.00%'
    """
    broken = (each for each in guardrails if not each.holds)
    return "; ".join(f"{each.name} is {each.value:.2%}, above {each.limit:.2%}" for each in broken)
