"""Repeated measurements of contenders that take turns, so that all of them meet the same load of the machine."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

__all__ = ["REPEATS", "Contender", "ContenderError", "Outcome", "Role", "Sample", "absent", "alternate", "in_process"]

REPEATS = 5
"""Measured repeats of every contender, after one that is reported but not counted."""

Role = Literal["ours", "peer", "variant"]
"""`variant` is ours in other circumstances: nothing is promised of it."""


class ContenderError(Exception):
    """A contender could not be prepared or broke down; its row says why, and the others go on."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One repeat.

    Parameters
    ----------
    wall_s, cpu_s : float
        Elapsed time, and processor time of every thread and process that did the work, in seconds.
    details : mapping of str to float
        Anything else that was measured along the way.
    """

    wall_s: float
    cpu_s: float
    details: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Contender:
    """Someone who does a fixed amount of work as often as asked.

    Parameters
    ----------
    name : str
    role : {"ours", "peer", "variant"}
        `variant` is ours in other circumstances; no target is set for it.
    work : int
        Units of work of one repeat.
    repeat : callable
        Does the work once, and says how long it took.
    versions : mapping of str to str
        Versions of the libraries that do the work.
    note : str
        What a reader must know to compare it fairly.
    """

    name: str
    role: Role
    work: int
    repeat: Callable[[], Sample]
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    note: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured of a contender; `error` says why there is nothing, and then there are no samples."""

    name: str
    role: Role
    work: int
    warmup: Sample | None = None
    samples: tuple[Sample, ...] = ()
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    note: str = ""
    error: str | None = None

    @property
    def wall_s(self) -> float:
        """Median elapsed time of a repeat, NaN without samples."""
        return statistics.median(s.wall_s for s in self.samples) if self.samples else float("nan")

    @property
    def cpu_s(self) -> float:
        """Median processor time of a repeat, NaN without samples."""
        return statistics.median(s.cpu_s for s in self.samples) if self.samples else float("nan")

    @property
    def rate(self) -> float:
        """Units of work per second of elapsed time, by the median; NaN without samples."""
        return self.work / self.wall_s

    @property
    def cpu_rate(self) -> float:
        """Units of work per second of processor time, by the median; NaN without samples or where it is 0."""
        return self.work / self.cpu_s if self.cpu_s else float("nan")

    def detail(self, name: str) -> float:
        """Return the median of a detail; NaN without samples."""
        return statistics.median(s.details[name] for s in self.samples) if self.samples else float("nan")


def in_process(work: Callable[[], Any], prepare: Callable[[], Any] = lambda: None) -> Callable[[], Sample]:
    """Return a repeat that times `work` in this process; `prepare` runs before each, outside the time."""

    def repeat() -> Sample:
        prepare()
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        return Sample(time.perf_counter() - wall, time.process_time() - cpu)

    return repeat


def absent(name: str, role: Role, reason: str) -> Outcome:
    """Return the row of a contender that could not take part."""
    return Outcome(name, role, 0, error=reason)


def alternate(
    contenders: Sequence[Contender], repeats: int = REPEATS, on_round: Callable[[int], None] = lambda _round: None
) -> list[Outcome]:
    """Let contenders take turns: one warm-up round, then `repeats` rounds, every other one in reverse order.

    A contender that raises ContenderError drops out and its row carries the reason; any other error is a fault
    of the benchmark and ends it.
    """
    taken: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    errors: dict[str, str] = {}
    for number in range(repeats + 1):
        on_round(number)
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            if contender.name in errors:
                continue
            try:
                taken[contender.name].append(contender.repeat())
            except ContenderError as error:
                errors[contender.name] = str(error)
    return [_outcome(contender, taken[contender.name], errors.get(contender.name)) for contender in contenders]


def _outcome(contender: Contender, samples: Sequence[Sample], error: str | None) -> Outcome:
    return Outcome(
        contender.name,
        contender.role,
        contender.work,
        warmup=samples[0] if samples else None,
        samples=tuple(samples[1:]) if error is None else (),
        versions=contender.versions,
        note=contender.note,
        error=error,
    )
