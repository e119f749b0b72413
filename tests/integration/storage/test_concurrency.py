"""Readers beside a writer, many writers of many runs, and many openers of one new database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

from tests.support.processes import outputs
from tests.support.waiting import wait_until
from trader.core.orders import FillBatch
from trader.storage import Store

LENGTH = 120


def test_readers_see_whole_prefixes(store: Store, store_url: str, made: ModuleType) -> None:
    """While one process appends, another reads growing prefixes of the run, never a part of an append."""
    done = threading.Event()
    seen: list[int] = []

    def read() -> None:
        with Store.open(store_url) as reader:
            while not done.is_set():
                batch = reader.fill_batch("r1")
                table = reader.decisions("r1")
                seen.append(len(table))
                assert table.seq.tolist() == list(range(len(table)))
                assert len(table) % 4 == 0
                known = FillBatch.concat([made.fills(seq) for seq in range(len(table))])
                assert batch == known.take(slice(0, len(batch)))

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        try:
            for start in range(0, LENGTH, 4):
                # However slow the reader is, it sees the run before it, in it and after it.
                if start in (0, LENGTH // 2):
                    wait_until(lambda start=start: (seen and seen[-1] >= start // 2) or reading.done())
                made.append(store, "r1", start, start + 4)
        finally:
            done.set()
        reading.result()
    assert seen == sorted(seen)
    assert len(set(seen)) > 1


def test_writers_of_different_runs_wait_for_each_other(store: Store, store_url: str, made: ModuleType) -> None:
    """Runs written at the same time by stores of their own are both complete."""
    names = ("a", "b", "c")
    for name in names:
        store.create_run(made.run_record(name))

    def write(name: str) -> None:
        with Store.open(store_url) as own:
            for start in range(0, 40, 2):
                made.append(own, name, start, start + 2)

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(write, names))
    for name in names:
        assert store.last_seq(name) == 39
        assert store.fill_batch(name) == FillBatch.concat([made.fills(seq) for seq in range(40)])


def test_a_lost_connection_is_replaced(new_postgres_url: Callable[[], str], made: ModuleType) -> None:
    """After the server has cut a store's idle connections, the next append works."""
    url = new_postgres_url()
    with Store.open(url) as store, Store.open(url) as other:
        store.create_run(made.run_record("r1"))
        made.append(store, "r1", 0, 3)
        with other._engine.connect() as connection:
            cut = """
                SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE application_name = current_setting('application_name') AND pid <> pg_backend_pid()
            """
            assert connection.exec_driver_sql(cut).scalar() == 1
        made.append(store, "r1", 3, 5)
        assert store.last_seq("r1") == 4


def test_many_processes_open_a_new_database(store_url: str) -> None:
    """Processes that find no database create it once, and all of them can use it."""
    code = "import sys; from trader.storage import Store; print(len(Store.open(sys.argv[1]).runs()))"
    assert [text.strip() for text in outputs(code, store_url, n=2)] == ["0", "0"]


def test_many_threads_open_a_new_database(store_url: str) -> None:
    """The same within one process."""
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(Store.open, [store_url] * 4))
    for store in stores:
        assert store.runs() == []
        store.close()
