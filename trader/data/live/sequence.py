"""What is missing, repeated or late among numbered messages."""

from __future__ import annotations

import dataclasses

__all__ = ["Hole", "Sequence"]

_HOLES = 1024


@dataclasses.dataclass(slots=True)
class Hole:
    """Numbers `first` to `last` that have not come; noticed at `seen_ns`."""

    first: int
    last: int
    seen_ns: int
    is_wanted: bool = False
    """Whether it was asked for elsewhere."""

    @property
    def missing(self) -> int:
        """How many numbers it holds."""
        return self.last - self.first + 1


class Sequence:
    """Takes each number once, in whatever order it comes, and remembers those that are missing.

    A number skipped is a hole. It may still come, late; after `settle` it is lost. Holes kept are bounded: beyond
    1,024 the oldest is settled early.

    Examples
    --------
    >>> numbers = Sequence()
    >>> [numbers.accept(n, now_ns=n) for n in (7, 8, 8, 11, 9)]
    [True, True, False, True, True]
    >>> numbers.duplicates, numbers.late, [(hole.first, hole.last) for hole in numbers.settle(before_ns=99)]
    (1, 1, [(10, 10)])
    """

    def __init__(self) -> None:
        self.duplicates = 0
        """Numbers that came again, or are from before the first."""
        self.late = 0
        """Numbers that came after a higher one."""
        self._last: int | None = None
        self._holes: list[Hole] = []
        self._settled: list[Hole] = []

    @property
    def last(self) -> int | None:
        """The highest number taken; None before the first."""
        return self._last

    def accept(self, number: int, now_ns: int) -> bool:
        """Return whether the number is new."""
        last = self._last
        if last is None or number == last + 1:
            self._last = number
            return True
        if number > last:
            self._holes.append(Hole(last + 1, number - 1, now_ns))
            if len(self._holes) > _HOLES:
                self._settled.append(self._holes.pop(0))
            self._last = number
            return True
        if self._fill(number):
            self.late += 1
            return True
        self.duplicates += 1
        return False

    def fill(self, number: int) -> bool:
        """Return whether a number that was fetched again is new; it counts neither as late nor as a duplicate."""
        last = self._last
        if last is not None and number <= last:
            return self._fill(number)
        return self.accept(number, 0)

    def wanted(self, before_ns: int) -> list[Hole]:
        """Return the holes noticed before that time that were not returned yet."""
        found = [hole for hole in self._holes if hole.seen_ns < before_ns and not hole.is_wanted]
        for hole in found:
            hole.is_wanted = True
        return found

    def settle(self, before_ns: int) -> list[Hole]:
        """Return the holes noticed before that time, and give up waiting for them."""
        done = self._settled + [hole for hole in self._holes if hole.seen_ns < before_ns]
        self._settled = []
        self._holes = [hole for hole in self._holes if hole.seen_ns >= before_ns]
        return done

    def _fill(self, number: int) -> bool:
        for place, hole in enumerate(self._holes):
            if hole.first <= number <= hole.last:
                parts = [
                    dataclasses.replace(hole, last=number - 1),
                    dataclasses.replace(hole, first=number + 1),
                ]
                self._holes[place : place + 1] = [part for part in parts if part.missing]
                return True
        return False
