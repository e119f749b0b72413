"""How the reference server may misbehave."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Literal, cast, get_args

from trader.core.errors import SettingsError

__all__ = ["Fault", "FaultKind", "FaultPlan", "parse_fault"]

FaultKind = Literal[
    "mute",
    "close",
    "garbage",
    "skip",
    "duplicate",
    "reorder",
    "skew",
    "throttle",
    "refuse",
    "autherror",
    "nosnapshot",
    "nohistory",
]
_DEFAULTS: dict[str, float] = {"close": 1006, "refuse": 429, "throttle": 100, "nosnapshot": 503, "nohistory": 429}
_WRONG_KEY = 402
_FORM = re.compile(r"(?P<kind>[a-z]+)(:(?P<value>-?\d+(\.\d+)?))?(x(?P<times>\d+))?(@(?P<after>\d+))?")
_CLOSE_CODES = (1000, 1001, 1006, 1011)


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """A misdeed that begins after `after` messages were sent.

    Parameters
    ----------
    kind : str
        `mute`: nothing more to those connected now; `close`: all connections, with code `value` (1006: without a close
        frame); `garbage`: `value` messages that are not JSON; `skip`: `value` messages are not sent; `duplicate`:
        `value` messages are sent twice; `reorder`: a message is sent after the `value` that follow it; `skew`: stamps
        are `value` seconds ahead from then on; `throttle`: at most `value` messages a second from then on, the rest
        waits; `refuse`: the next `times` connections are refused with `value`, in the vendor's own messages where it
        is one of its codes and with an HTTP status elsewhere; `autherror`: the next `times` keys are called wrong;
        `nosnapshot`, `nohistory`: the next `times` REST requests for a book, or for what has been, get HTTP status
        `value`.
    value : float
    times : int
        How often a connection or request is refused.
    after : int
    """

    kind: FaultKind
    value: float = 1.0
    times: int = 1
    after: int = 0


def parse_fault(text: str) -> Fault:
    """Read `KIND[:VALUE][xTIMES][@AFTER]`.

    Raises
    ------
    SettingsError
        If it is of another form, or the kind or close code is unknown.

    Examples
    --------
    >>> parse_fault("close:1001@500")
    Fault(kind='close', value=1001.0, times=1, after=500)
    """
    found = _FORM.fullmatch(text.strip())
    kinds = get_args(FaultKind)
    if found is None or found["kind"] not in kinds:
        raise SettingsError(
            f"misbehave={text!r}; KIND[:VALUE][xTIMES][@AFTER] is allowed, KIND one of {', '.join(kinds)}"
        )
    kind = cast("FaultKind", found["kind"])
    value = float(found["value"] or _DEFAULTS.get(kind, 1.0))
    if kind == "close" and value not in _CLOSE_CODES:
        raise SettingsError(f"misbehave={text!r}; close codes {', '.join(map(str, _CLOSE_CODES))} are allowed")
    if kind == "throttle" and value <= 0:
        raise SettingsError(f"misbehave={text!r}; more than 0 messages a second are allowed")
    return Fault(kind, value, int(found["times"] or 1), int(found["after"] or 0))


class FaultPlan:
    """Which misdeeds are due; each comes once.

    Parameters
    ----------
    faults : sequence of Fault
    """

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self._waiting = sorted(faults, key=lambda fault: fault.after)
        self._refusals: list[int] = []
        self._rest_refusals: dict[str, list[int]] = {"snapshot": [], "history": []}
        self._skip = self._double = 0
        self.per_second: float | None = None
        """How many messages may be sent a second now; None does not limit them."""
        self.skew_s = 0.0
        """How far stamps are ahead now."""

    def due(self, sent: int) -> list[Fault]:
        """Return the misdeeds of connections that begin with message number `sent`, and note the others."""
        begun: list[Fault] = []
        while self._waiting and self._waiting[0].after <= sent:
            fault = self._waiting.pop(0)
            if fault.kind == "skip":
                self._skip += int(fault.value)
            elif fault.kind == "duplicate":
                self._double += int(fault.value)
            elif fault.kind == "skew":
                self.skew_s = fault.value
            elif fault.kind == "throttle":
                self.per_second = fault.value
            elif fault.kind in ("refuse", "autherror"):
                self._refusals += [_WRONG_KEY if fault.kind == "autherror" else int(fault.value)] * fault.times
            elif fault.kind in ("nosnapshot", "nohistory"):
                self._rest_refusals[fault.kind.removeprefix("no")] += [int(fault.value)] * fault.times
            else:
                begun.append(fault)
        return begun

    def copies(self) -> int:
        """Return how often the next message is sent: 0, 1 or 2."""
        if self._skip:
            self._skip -= 1
            return 0
        if self._double:
            self._double -= 1
            return 2
        return 1

    def refusal(self) -> int | None:
        """Return the code that the next connection is refused with; None lets it in."""
        return self._refusals.pop(0) if self._refusals else None

    def rest_refusal(self, kind: str) -> int | None:
        """Return the HTTP status that the next request for a `snapshot` or `history` gets; None answers it."""
        waiting = self._rest_refusals.get(kind)
        return waiting.pop(0) if waiting else None
