"""What a live feed is told about one vendor."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from trader.data.live.decoder import Decoder

if TYPE_CHECKING:
    import httpx

__all__ = ["Gap", "History", "Snapshots", "Source"]


@dataclasses.dataclass(frozen=True, slots=True)
class Gap:
    """Rows of a symbol that were missed.

    Parameters
    ----------
    symbol : str
    symbol_id : int
    after_ns, until_ns : int
        They happened between these times, by the vendor's clock.
    after_number : int
        They carry higher numbers than this; 0 where the vendor numbers nothing.
    until_number : int, optional
        The last of them; None where that is not known.
    """

    symbol: str
    symbol_id: int
    after_ns: int
    until_ns: int
    after_number: int = 0
    until_number: int | None = None


class History(Protocol):
    """A vendor's REST interface to what its stream has brought before."""

    async def fetch(self, client: httpx.AsyncClient, gap: Gap) -> list[Any]:
        """Return the rows of a gap, oldest first, in the form that the vendor's decoder takes.

        Raises
        ------
        httpx.HTTPError, ValueError
            If they cannot be had; the message says why.
        """
        ...


class Snapshots(Protocol):
    """Order books that follow a stream, and a vendor's REST interface to what they begin with."""

    def wanted(self) -> list[str]:
        """Return the symbols whose book needs a snapshot, and may have one now."""
        ...

    def gaps(self) -> list[tuple[str, str]]:
        """Return symbol and reason of each book that was thrown away since the last call."""
        ...

    def forget(self) -> None:
        """Throw all books away: the connection has ended."""
        ...

    async def take(self, client: httpx.AsyncClient, symbol: str) -> bool:
        """Fetch a snapshot; return whether the book is complete with it.

        Raises
        ------
        httpx.HTTPError, ValueError
            If it cannot be had; the message says why.
        """
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """One vendor's stream.

    Parameters
    ----------
    name : str
        For people, logs and metrics.
    url : str
        Where to connect, with all that the address has to say.
    decoder : Decoder
        Speaks the vendor's protocol.
    history : History, optional
        Where missed rows are fetched from.
    headers : mapping of str to str
        Sent with the handshake.
    is_alone : bool
        Whether the vendor allows one connection only, so that an old one must end before its replacement is made.
    tells_side : bool
        Whether its trades say who took the initiative.
    time_url : str, optional
        Where the vendor tells its time, as milliseconds in the member `serverTime`.
    snapshots : Snapshots, optional
        Where order books begin, for sources that follow some.
    """

    name: str
    url: str
    decoder: Decoder
    history: History | None = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    is_alone: bool = False
    tells_side: bool = False
    time_url: str | None = None
    snapshots: Snapshots | None = None
