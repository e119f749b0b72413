"""Times as RFC 3339 writes them, to the nanosecond."""

from __future__ import annotations

import datetime as dt

import numpy as np

__all__ = ["StampReader", "stamp_text"]

_SECOND_NS = 1_000_000_000
_KEPT = 4096
_REPRESENTABLE = range(7_258_118_400 * _SECOND_NS)
_HEAD = len("2021-02-22T15:51:44")
_DIGITS = 9
_POWERS = 10 ** np.arange(_DIGITS - 1, -1, -1)
_ZERO = np.uint8(ord("0"))
_MANY = 16


class StampReader:
    """Reads stamps of UTC such as `2021-02-22T15:51:44.208123456Z` exactly.

    Seconds that were read lately are remembered, for those of a stream are nearly always the same ones.

    Examples
    --------
    >>> read = StampReader().read
    >>> read("2021-02-22T15:51:44.208Z"), read("2021-02-22T15:51:44Z")
    (1614009104208000000, 1614009104000000000)
    """

    def __init__(self) -> None:
        self._seconds: dict[str, int] = {}

    def read(self, text: str) -> int:
        """Return nanoseconds since 1970.

        Raises
        ------
        ValueError
            If it is of another form, another zone than `Z` included.
        """
        head = self._seconds.get(text[:_HEAD])
        if head is None:
            head = self._read_head(text[:_HEAD])
        if text[_HEAD:] == "Z":
            return head
        digits = text[_HEAD + 1 : -1]
        if text[_HEAD : _HEAD + 1] != "." or text[-1] != "Z" or not digits.isdecimal() or len(digits) > _DIGITS:
            raise ValueError(f"{text!r} is not of the form 2021-02-22T15:51:44.123456789Z")
        return head + int(digits.ljust(_DIGITS, "0"))

    def read_many(self, texts: list[str]) -> list[int]:
        """Return the same of many, and -1 for those of another form; faster where they are of the same second."""
        if len(texts) >= _MANY:
            found = self._read_alike(texts)
            if found is not None:
                return found
        return [self._read_or_none(text) for text in texts]

    def _read_alike(self, texts: list[str]) -> list[int] | None:
        """Return times of one second, given with full stops and digits; None if they are not all like that."""
        head = texts[0][: _HEAD + 1]
        size = _HEAD + 1 + _DIGITS + 1
        sizes = set(map(len, texts))
        whole = "".join(texts)
        # What is filled up must have held a full stop, a digit and its Z; a Z elsewhere is no digit.
        if min(sizes) <= _HEAD + 2 or whole.count(head) != len(texts) or whole.count("Z") != len(texts):
            return None
        if sizes != {size}:
            whole = "".join([text if len(text) == size else f"{text[:-1].ljust(size - 1, '0')}Z" for text in texts])
        try:
            characters = np.frombuffer(whole.encode("ascii"), np.uint8).reshape(len(texts), size)
            begin = self.read(f"{head[:-1]}Z")
        except ValueError:
            return None
        digits = characters[:, _HEAD + 1 : -1] - _ZERO  # wraps around below zero
        if head[-1:] != "." or (digits > 9).any():
            return None
        found: list[int] = (begin + digits.astype(np.int64) @ _POWERS).tolist()
        return found

    def _read_or_none(self, text: str) -> int:
        try:
            return self.read(text)
        except ValueError:
            return -1

    def _read_head(self, text: str) -> int:
        if len(self._seconds) >= _KEPT:
            self._seconds.clear()
        try:
            moment = dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=dt.UTC)
        except ValueError:
            raise ValueError(f"{text!r} is not of the form 2021-02-22T15:51:44") from None
        found = int(moment.timestamp()) * _SECOND_NS
        if len(text) != _HEAD or found not in _REPRESENTABLE:
            raise ValueError(f"{text!r} is not of the form 2021-02-22T15:51:44, or before 1970 or after 2199")
        self._seconds[text] = found
        return found


def stamp_text(ns: int) -> str:
    """Return a time in UTC with nine decimals.

    >>> stamp_text(1_614_009_104_208_000_001)
    '2021-02-22T15:51:44.208000001Z'
    """
    return f"{np.datetime64(ns, 'ns')}Z"
