"""What has come already, where a vendor's numbers do not follow on each other."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

__all__ = ["Seen"]

_GENERATION = 131_072


class Seen:
    """Remembers keys in bounded memory.

    Those are the newest `generation` at least, and at most twice as many and what was added at once.

    Parameters
    ----------
    generation : int, default=131,072

    Examples
    --------
    >>> seen = Seen(generation=2)
    >>> [seen.add(key) for key in "abacda"]
    [True, True, False, True, True, False]
    """

    def __init__(self, generation: int = _GENERATION) -> None:
        self._generation = generation
        self._young: set[Hashable] = set()
        self._old: set[Hashable] = set()

    def add(self, key: Hashable) -> bool:
        """Return whether a key is new, and remember it."""
        young = self._young
        before = len(young)
        young.add(key)
        if len(young) == before or key in self._old:
            return False
        if before >= self._generation:
            self._old, self._young = young, set()
        return True

    def add_all(self, keys: Sequence[Hashable]) -> bool:
        """Remember keys if all of them are new, and return whether they were; faster than one by one."""
        fresh = set(keys)
        if len(fresh) < len(keys) or not (self._young.isdisjoint(fresh) and self._old.isdisjoint(fresh)):
            return False
        if len(self._young) >= self._generation:
            self._old, self._young = self._young, set()
        self._young |= fresh
        return True
