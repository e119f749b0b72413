"""Sale conditions of US stock trades: which of them may set the last price, the high and low, and the volume.

Sources: the consolidated processing guidelines in *CTS Pillar Output Specification* (CTA) and *UTP Data Feed Services
Specification* (UTP), appendices on sale conditions; the bits are those of AlgoSeek's trade files (QuantConnect LEAN,
`TradeConditionFlags`), the ids those of Massive (Polygon). Conditions under which a trade updates the last price only
as the first or only trade of a day count as not updating it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = [
    "CODES",
    "CONDITIONS",
    "RULES",
    "Codes",
    "Rule",
    "SaleCondition",
    "Updates",
    "known_codes",
    "read_conditions",
    "together",
    "updates",
]

Codes = Literal["flags", "cta", "utp", "massive"]
"""How conditions are written: hexadecimal bits, letters of the CTA (tapes A and B) or UTP (tape C), or Massive's ids
with commas or spaces between them."""
CODES: tuple[Codes, ...] = get_args(Codes)

Rule = Literal["all", "consolidated", "ordinary"]
"""`consolidated`: the table below. `ordinary`: prices from trades that are marked regular, or are neither sweeps nor
exempt from trade-through protection nor in extended hours nor odd lots; volume from all but official opening and
closing prices. `all`: every trade updates everything."""
RULES: tuple[Rule, ...] = get_args(Rule)


class SaleCondition(NamedTuple):
    """A condition: its bit, its letters and ids, and whether the consolidated last, high and low, and volume update."""

    name: str
    bit: int
    cta: str
    utp: str
    massive: tuple[int, ...]
    last: bool
    high_low: bool
    volume: bool


_FLAG_BITS = 32
"""Conditions whose bits are AlgoSeek's; the others are numbered on."""
_ALL, _RANGE, _VOLUME = (True, True, True), (False, True, True), (False, False, True)
_NOTHING, _PRICE = (False, False, False), (True, True, False)

CONDITIONS: tuple[SaleCondition, ...] = (
    SaleCondition("regular", 0, "@ ", "@ ", (0,), *_ALL),
    SaleCondition("cash", 1, "C", "C", (7,), *_VOLUME),
    SaleCondition("next day", 2, "N", "N", (20,), *_VOLUME),
    SaleCondition("seller", 3, "R", "R", (29,), *_VOLUME),
    SaleCondition("yellow flag", 4, "", "Y", (36,), *_ALL),
    SaleCondition("intermarket sweep", 5, "F", "F", (14,), *_ALL),
    SaleCondition("opening", 6, "O", "O", (17, 25, 55), *_ALL),
    SaleCondition("closing", 7, "6", "6", (8, 19), *_ALL),
    SaleCondition("reopening", 8, "5", "5", (18, 28), *_ALL),
    SaleCondition("derivatively priced", 9, "4", "4", (10,), *_RANGE),
    SaleCondition("form T", 10, "", "T", (12,), *_VOLUME),
    SaleCondition("sold last", 11, "L", "L", (30,), *_ALL),
    SaleCondition("stopped", 12, "", "1", (27, 31), *_ALL),
    SaleCondition("extended hours", 13, "T", "", (), *_VOLUME),
    SaleCondition("out of sequence", 14, "Z", "Z", (32, 33), *_RANGE),
    SaleCondition("split", 15, "", "S", (34,), *_ALL),
    SaleCondition("acquisition", 16, "", "A", (1,), *_ALL),
    SaleCondition("bunched", 17, "", "B", (4,), *_ALL),
    SaleCondition("contingent", 18, "V", "V", (52,), *_VOLUME),
    SaleCondition("distribution", 19, "", "D", (11,), *_ALL),
    SaleCondition("average price", 20, "B", "W", (2,), *_VOLUME),
    SaleCondition("cross", 21, "X", "X", (9,), *_ALL),
    SaleCondition("price variation", 22, "H", "H", (21,), *_VOLUME),
    SaleCondition("rule 127 or 155", 23, "K", "K", (23, 24), *_ALL),
    SaleCondition("official close", 24, "M", "M", (15,), *_NOTHING),
    SaleCondition("prior reference price", 25, "P", "P", (22,), *_RANGE),
    SaleCondition("official open", 26, "Q", "Q", (16,), *_NOTHING),
    SaleCondition("CAP election", 27, "", "", (6,), *_ALL),
    SaleCondition("automatic execution", 28, "E", "", (3,), *_ALL),
    SaleCondition("trade-through exempt", 29, "", "", (41,), *_ALL),
    SaleCondition("not documented", 30, "", "", (), *_ALL),
    SaleCondition("odd lot", 31, "I", "I", (37,), *_VOLUME),
    SaleCondition("qualified contingent", 32, "7", "7", (53,), *_VOLUME),
    SaleCondition("corrected close", 33, "9", "9", (38,), *_PRICE),
    SaleCondition("extended hours, out of sequence", 34, "U", "U", (13,), *_VOLUME),
    SaleCondition("bunched, sold", 35, "", "G", (5,), *_RANGE),
    SaleCondition("stock and option", 36, "", "", (35,), *_ALL),
    SaleCondition("short sale restriction", 37, "", "", (57, 58, 59, 60), *_ALL),
)


def _mask(*names: str) -> int:
    return sum(1 << condition.bit for condition in CONDITIONS if condition.name in names)


_REGULAR = _mask("regular")
_EXTENDED = ("form T", "extended hours", "extended hours, out of sequence")
_APART = _mask("intermarket sweep", "trade-through exempt", "odd lot", *_EXTENDED)
_OFFICIAL = _mask("official close", "official open")


class Updates(NamedTuple):
    """What each trade may set, three masks of shape (n_trades,): last price, high and low, volume."""

    last: NDArray[np.bool_]
    high_low: NDArray[np.bool_]
    volume: NDArray[np.bool_]


def updates(conditions: NDArray[np.int64], rule: Rule) -> Updates:
    """Return what trades may set under a rule, from their conditions as bits, shape (n_trades,).

    A trade under several conditions may do what all of them allow; one without any, everything.

    Examples
    --------
    >>> regular, late, odd_lot = 1, 1 << 14, 1 << 31
    >>> updates(np.array([regular, late, odd_lot]), "consolidated").high_low.tolist()
    [True, True, False]
    """
    if rule not in RULES:
        raise DataError(f"rule={rule!r} of sale conditions; allowed are {', '.join(RULES)}")
    if rule == "all":
        yes = np.ones(conditions.shape, np.bool_)
        return Updates(yes, yes, yes)
    if rule == "ordinary":
        volume = (conditions & _OFFICIAL) == 0
        price = volume & (((conditions & _REGULAR) != 0) | ((conditions & _APART) == 0))
        return Updates(price, price, volume)
    forbidden = [_mask(*(c.name for c in CONDITIONS if not getattr(c, field))) for field in Updates._fields]
    return Updates(*((conditions & mask) == 0 for mask in forbidden))


def read_conditions(column: Any, codes: Codes, name: str = "conditions") -> NDArray[np.int64]:
    """Return the conditions of each row as bits, shape (n_rows,); an absent value has none.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        Text or numbers.
    codes : {"flags", "cta", "utp", "massive"}
        How they are written. An unknown bit, letter or id is refused.
    name : str
        For errors.
    """
    import pyarrow as pa

    if codes not in CODES:
        raise DataError(f"codes={codes!r} of sale conditions; allowed are {', '.join(CODES)}")
    plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    encoded = plain.cast(pa.string()).combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    words = [str(word) for word in encoded.dictionary.to_pylist()]
    masks = np.array([_bits(word, codes, name) for word in words] + [0], np.int64)
    codes_of_rows = encoded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
    return np.asarray(masks[codes_of_rows], np.int64)


def _bits(word: str, codes: Codes, name: str) -> int:
    if codes == "flags":
        try:
            bits = int(word.strip() or "0", 16)
        except ValueError:
            bits = -1
        if not 0 <= bits < 1 << _FLAG_BITS:
            raise DataError(f"column {name!r} holds {word!r}; {_FLAG_BITS} hexadecimal bits are allowed")
        return bits
    known = known_codes(codes)
    parts = word.replace(",", " ").split() if codes == "massive" else list(word.replace(",", ""))
    unknown = [part for part in parts if part not in known]
    if unknown:
        raise DataError(
            f"column {name!r} holds {word!r}, and {unknown[0]!r} is no {codes} code; known are {' '.join(known)}"
        )
    return together((known[part] for part in parts), codes)


def known_codes(codes: Codes) -> dict[str, int]:
    """Return the bit of each letter or id.

    >>> known_codes("utp")["T"] == 1 << 10
    True
    """
    if codes == "massive":
        return {str(number): 1 << condition.bit for condition in CONDITIONS for number in condition.massive}
    return {letter: 1 << condition.bit for condition in CONDITIONS for letter in getattr(condition, codes)}


def together(bits: Iterable[int], codes: Codes) -> int:
    """Return the conditions of a trade as bits, from those of its letters or ids.

    >>> together([1, 1 << 31], "cta") == 1 << 31
    True
    """
    mask = 0
    for bit in bits:
        mask |= bit
    # The settlement field of a letter code says regular beside whatever else holds.
    return mask if codes == "massive" or mask == _REGULAR else mask & ~_REGULAR
