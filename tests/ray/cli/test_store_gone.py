"""`trader run` from outside, whose PostgreSQL is taken away for some seconds."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import read_fills, wait_for_decisions
from tests.support.postgres import Postgres
from trader.storage import Store

pytestmark = [pytest.mark.ray, pytest.mark.slow]

AWAY_S, A_SECOND = 8.0, 20


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="trader-pg-", ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder))
        yield server
        server.end()


def test_a_store_that_was_away_changes_nothing(
    start_trader: Any, tmp_path: Path, reference_run: Path, postgres: Postgres
) -> None:
    """Decisions went on without it, the store has them all, and the fills are those of an undisturbed run."""
    options = ("--models", str(reference_run / "models"), "--speed", str(A_SECOND))
    process = start_trader("run", "--preset", "ci", "--json", *options, "--set", f"store.url={postgres.url}")
    run_id = wait_for_decisions(tmp_path, process, 25, postgres.url)
    postgres.stop()
    time.sleep(AWAY_S)
    assert process.poll() is None
    postgres.start()
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert read_fills(tmp_path / run_id) == read_fills(reference_run)
    with Store.open(postgres.url) as store:
        gone, back = [event for event in store.events(run_id) if event.kind.startswith("store_")]
    assert (gone.kind, back.kind) == ("store_gone", "store_back")
    assert back.payload["decisions"] > AWAY_S * A_SECOND / 8
