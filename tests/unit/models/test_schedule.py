"""Who reads what: every window once, shares of equal size, the same again for the same seed."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trader.models.panel_files import PanelFile, Span
from trader.models.panel_stats import PanelStats
from trader.models.schedule import Schedule, cut_spans


def _spans(sizes: list[int]) -> tuple[Span, ...]:
    """Files of these sizes, all of which is meant."""
    found, first = [], 0
    for number, size in enumerate(sizes):
        stats = PanelStats.merged([], 1)
        file = PanelFile(f"{number}", "", first, 0, size, (first, first + size - 1), stats)
        found.append(Span(file, first, first + size))
        first += size
    return tuple(found)


def _positions(spans: tuple[Span, ...]) -> list[int]:
    return [position for span in spans for position in range(span.start, span.stop)]


SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=12)


@settings(deadline=None)
@given(SIZES, st.integers(1, 5), st.integers(1, 4), st.integers(0, 9))
def test_workers_share_an_epoch(sizes: list[int], n_workers: int, epoch: int, seed: int) -> None:
    """Together they read every instant exactly once, and none reads more than one more than another."""
    whole = Schedule(_spans(sizes), (), batch_size=4, n_epochs=4, seed=seed, n_workers=n_workers)
    shares = [dataclasses.replace(whole, rank=rank).share(epoch) for rank in range(n_workers)]
    assert sorted(p for share in shares for p in _positions(share)) == list(range(sum(sizes)))
    lengths = [sum(map(len, share)) for share in shares]
    assert max(lengths) - min(lengths) <= 1


@settings(deadline=None)
@given(SIZES, st.integers(1, 4), st.integers(1, 9), st.integers(1, 5))
def test_all_workers_make_the_same_steps(sizes: list[int], n_workers: int, batch: int, buffer_files: int) -> None:
    """The steps of the buffers add up to those of the epoch, for every worker: none waits for another in vain."""
    whole = Schedule(
        _spans(sizes), (), batch_size=batch, n_epochs=3, seed=1, n_workers=n_workers, buffer_files=buffer_files
    )
    if sum(sizes) < n_workers:
        return
    for rank in range(n_workers):
        own = dataclasses.replace(whole, rank=rank)
        parts = list(own.buffers(2))
        assert sum(steps for _, steps in parts) == whole.steps
        assert [span for buffer, _ in parts for span in buffer] == list(own.share(2))
        assert all(len(buffer) <= buffer_files for buffer, _ in parts)
        for buffer, steps in parts:  # batches are of the size asked for, but for what rounding takes
            assert steps == 0 or sum(map(len, buffer)) / steps >= min(own.own_batch, sum(map(len, buffer))) / 2


def test_epochs_differ_and_repeat() -> None:
    """Files come in another order each epoch; equal seeds give equal orders."""
    schedule = Schedule(_spans([5] * 10), (), batch_size=4, n_epochs=3, seed=3)
    again = Schedule(_spans([5] * 10), (), batch_size=4, n_epochs=3, seed=3)
    orders = {epoch: [span.file.name for span in schedule.share(epoch)] for epoch in (1, 2, 3)}
    assert orders[1] != orders[2] != orders[3]
    assert all([span.file.name for span in again.share(epoch)] == order for epoch, order in orders.items())


def test_validation_is_shared_in_order() -> None:
    """Each worker validates on its part of the end, whatever it learns from."""
    spans = _spans([6, 6, 6, 6])
    schedule = Schedule(spans[:3], spans[3:], batch_size=4, n_epochs=3, seed=3, rank=1, n_workers=2)
    assert _positions(schedule.own_validation) == [21, 22, 23]
    assert [_positions(share) for share in schedule.validation_shares] == [[18, 19, 20], [21, 22, 23]]


@pytest.mark.parametrize(("n_shares", "expected"), [(1, [[0, 1, 2, 3, 4]]), (2, [[0, 1], [2, 3, 4]])])
def test_a_file_across_a_cut_is_in_both_shares(n_shares: int, expected: list[list[int]]) -> None:
    """Cuts fall where the sizes say, not where the files end."""
    assert [_positions(share) for share in cut_spans(_spans([3, 2]), n_shares)] == expected
