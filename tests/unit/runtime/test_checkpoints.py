"""Checkpoints are whole, bounded in number, and chosen by number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trader.runtime.checkpoints import CheckpointFolder, CheckpointWriter


def test_newest_not_after_a_batch_is_found(tmp_path: Path) -> None:
    """The state comes back bit for bit; only the newest few are kept; another shard's are not seen."""
    folder = CheckpointFolder(tmp_path, 0)
    for seq in (9, 19, 29, 39):
        folder.save(seq, {"x": np.array([seq, np.nan]), "empty": np.empty((0, 3), np.int32)})
    assert folder.newest(9) is None, "the oldest is gone"
    for at_most, expected in ((19, 19), (28, 19), (29, 29), (10**9, 39)):
        found = folder.newest(at_most)
        assert found is not None
        assert found[0] == expected
        np.testing.assert_array_equal(found[1]["x"], [expected, np.nan])
        assert found[1]["empty"].shape == (0, 3)
    assert CheckpointFolder(tmp_path, 1).newest(10**9) is None


def test_a_torn_checkpoint_is_not_seen(tmp_path: Path) -> None:
    """A file that was being written when the process died has another name."""
    (tmp_path / "shard-0-000000000005.partial").write_bytes(b"half")
    assert CheckpointFolder(tmp_path, 0).newest(10) is None


def test_the_writer_writes_in_order(tmp_path: Path) -> None:
    """After `wait`, everything saved is there; nothing is left half-written."""
    folder = CheckpointFolder(tmp_path, 0)
    writer = CheckpointWriter(folder)
    for seq in range(5):
        writer.save(seq, {"x": np.full(10_000, seq)})
    writer.wait()
    found = folder.newest(10**9)
    assert found is not None
    np.testing.assert_array_equal(found[1]["x"], np.full(10_000, 4))
    assert not list(tmp_path.glob("*.partial"))


def test_a_failed_write_is_raised_by_the_next_call(tmp_path: Path) -> None:
    """A disk that refuses stops the shard with the next checkpoint, once."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    writer = CheckpointWriter(CheckpointFolder(blocked, 0))
    writer.save(0, {})
    with pytest.raises(FileExistsError):
        writer.save(1, {})
    writer.wait()
