"""A store that goes and comes back: what was put is written in order, and nothing twice that was not meant to be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.waiting import wait_until
from trader.core.errors import DataError, StoreError, StoreUnavailableError
from trader.core.events import Event
from trader.engine.writer import Group, StoreWriter, patiently
from trader.settings import StoreSettings


class Disk:
    """A store that can be away, slow or broken."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self.events: list[Event] = []
        self.error: Exception | None = None
        self.free = threading.Event()
        self.free.set()

    def write(self, number: int) -> None:
        self.free.wait(60)
        if self.error is not None:
            raise self.error
        self.written.append(number)

    def record(self, event: Event) -> None:
        if self.error is not None:
            raise self.error
        self.events.append(event)

    def group(self, number: int, n_bytes: int = 1000) -> Group:
        return Group(number, 2, n_bytes, lambda: self.write(number))


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def make(disk: Disk) -> Iterator[Callable[..., StoreWriter]]:
    """Make a writer to the disk; all are closed after the test."""
    made: list[StoreWriter] = []

    def writer(
        on_event: Callable[[Event], None] | None = None, patience_s: float = 60.0, **settings: float
    ) -> StoreWriter:
        made.append(StoreWriter("r", StoreSettings(**settings), disk.record, on_event, patience_s=patience_s))
        return made[-1]

    yield writer
    disk.free.set()
    assert all(each.close(60.0) for each in made)


def test_what_is_put_is_durable_on_return(disk: Disk, make: Callable[..., StoreWriter]) -> None:
    """While the store answers nothing ever waits."""
    writer = make()
    for number in range(50):
        writer.put(disk.group(number))
        assert disk.written[-1] == writer.durable_mark == number
    assert (writer.waiting, writer.gone_s, writer.is_full, disk.events) == (0, 0.0, False, [])


def test_an_outage_delays_and_loses_nothing(disk: Disk, make: Callable[..., StoreWriter]) -> None:
    """Put returns at once, everything is written in order when the store is back, then the events of it."""
    told: list[Event] = []
    writer = make(told.append)
    writer.put(disk.group(0))
    disk.error = StoreUnavailableError("connection refused")
    began = time.monotonic()
    for number in range(1, 6):
        writer.put(disk.group(number))
    assert time.monotonic() - began < 30.0
    assert (writer.waiting, writer.durable_mark, writer.is_full) == (10, 0, False)
    assert [event.kind for event in told] == ["store_gone"]
    disk.error = None
    writer.drain()
    took_s = time.monotonic() - began
    assert disk.written == [0, 1, 2, 3, 4, 5]
    assert (writer.durable_mark, writer.waiting, writer.gone_s) == (5, 0, 0.0)
    gone, back = disk.events
    assert gone.payload() == {"reason": "connection refused"}
    assert back.payload()["decisions"] == 10
    assert 0.1 <= back.payload()["seconds"] <= round(took_s, 3)
    wait_until(lambda: told == [gone, back])


def test_a_store_that_hangs_counts_as_gone(disk: Disk, make: Callable[..., StoreWriter]) -> None:
    """The one write that hangs is the first to be done when it wakes; it is not begun twice."""
    writer = make(patience_s=0.2)
    disk.free.clear()
    began = time.monotonic()
    writer.put(disk.group(0))
    assert 0.2 <= time.monotonic() - began < 30.0
    writer.put(disk.group(1))
    assert disk.written == []
    disk.free.set()
    writer.drain()
    assert disk.written == [0, 1]
    assert disk.events[0].payload() == {"reason": "no answer for 0.2 s"}


@pytest.mark.parametrize("bound", [{"buffer_mb": 0.002}, {"buffer_s": 2.0}])
def test_beyond_its_bound_it_makes_others_wait(
    disk: Disk, make: Callable[..., StoreWriter], bound: dict[str, float]
) -> None:
    """Too many bytes or too long: `make_room` returns when the store is back, or somebody wants to stop."""
    writer = make(**bound)
    disk.error = StoreUnavailableError("gone")
    for number in range(2):
        writer.put(disk.group(number))
    assert not writer.is_full
    writer.put(disk.group(2))
    wait_until(lambda: writer.is_full)
    writer.make_room(lambda: True)
    waiting = threading.Thread(target=writer.make_room)
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    disk.error = None
    waiting.join(60)
    assert not waiting.is_alive()
    assert disk.written[:1] == [0]


def test_it_gives_up_in_the_end(disk: Disk, make: Callable[..., StoreWriter]) -> None:
    """After `give_up_s` the error says what is not in the store, and how to go on."""
    writer = make(buffer_s=0.0, give_up_s=0.5)
    disk.error = StoreUnavailableError("gone")
    writer.put(disk.group(0))
    for wait in (writer.make_room, writer.drain):
        with pytest.raises(StoreUnavailableError, match=r"2 decisions of run r are not in it, and --resume makes them"):
            wait()


@pytest.mark.parametrize("error", [DataError("a hole"), StoreError("no such table")])
def test_what_does_not_pass_is_raised(disk: Disk, make: Callable[..., StoreWriter], error: Exception) -> None:
    """An error of another kind ends it, for the group that met it and all after."""
    writer = make()
    disk.error = error
    for number in range(2):
        with pytest.raises(type(error), match=str(error)):
            writer.put(disk.group(number))
    assert disk.written == []


def test_what_waits_is_forgotten_when_it_is_closed(disk: Disk, make: Callable[..., StoreWriter]) -> None:
    """Whoever goes back to the last commit must not find more in the store later."""
    writer = make()
    disk.error = StoreUnavailableError("gone")
    writer.put(disk.group(0))
    assert writer.close(60.0)
    disk.error = None
    time.sleep(0.3)
    assert disk.written == []


def test_patiently_repeats_until_it_gives_up() -> None:
    """Only what may pass is repeated."""
    errors: list[Exception] = [StoreUnavailableError("a"), StoreUnavailableError("b")]

    def call() -> str:
        if errors:
            raise errors.pop(0)
        return "answer"

    assert patiently(call, 60.0) == "answer"
    errors[:] = [StoreUnavailableError("gone")] * 9
    with pytest.raises(StoreUnavailableError, match="gone"):
        patiently(call, 0.2)
    errors[:] = [StoreError("broken")]
    with pytest.raises(StoreError, match="broken"):
        patiently(call, 60.0)
