"""A database that cannot be used gives one clear line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from trader.core.errors import SettingsError, StoreError, TraderError
from trader.storage import Store, redact
from trader.storage.engine import make_engine, parse_url, writing

NOBODY = 65534
ROOT = Path(__file__).parents[3]

FILL_THE_DISK = """
import resource, sys
sys.path.insert(0, sys.argv[2])
import crash_writer as made
from trader.core.errors import StoreError
from trader.storage import Store
store = Store.open(sys.argv[1])
last = store.last_seq("r1")
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    while True:
        made.append(store, "r1", last + 1, last + 9)
        last += 8
except StoreError as error:
    print(last)
    print(error)
"""


def _one_line(error: TraderError) -> str:
    text = str(error)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("url", ["trader.db", "mysql://localhost/x", "sqlite+aiosqlite:///x.db", ""])
def test_other_urls(url: str) -> None:
    """A URL of another database names what is allowed."""
    with pytest.raises(SettingsError, match=r"store.url.* sqlite:///path/to/file.db and postgresql\+psycopg"):
        Store.open(url)


def test_not_a_database(tmp_path: Path) -> None:
    """A file of something else is refused and left as it is."""
    path = tmp_path / "notes.txt"
    path.write_bytes(b"these are not the tables you are looking for" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"notes.txt: file is not a database"):
        Store.open(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_folder_that_cannot_be(tmp_path: Path) -> None:
    """A path below a file is refused."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"Not a directory|File exists"):
        Store.open(f"sqlite:///{tmp_path}/file/trader.db")


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    """A folder in the file's place is refused."""
    with pytest.raises(StoreError, match="unable to open database file") as caught:
        Store.open(f"sqlite:///{tmp_path}")
    _one_line(caught.value)


def test_missing_permission(tmp_path: Path) -> None:
    """A folder that this user may not write to is refused."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        with pytest.raises(StoreError, match=r"(?i)permission denied|unable to open database file") as caught:
            Store.open(f"sqlite:///{folder}/trader.db")
    finally:
        if root:
            os.seteuid(0)
    _one_line(caught.value)


def test_newer_schema(store: Store, store_url: str) -> None:
    """A database of a later version is named as such and not touched."""
    engine = make_engine(parse_url(store_url), "full")
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(
        StoreError, match="has schema revision '9999', but this version knows 0001, 0002, 0003"
    ) as caught:
        Store.open(store_url)
    _one_line(caught.value)


def test_full_disk(sqlite_url: str, made: ModuleType) -> None:
    """An append that does not fit fails in one line, and all before it is kept whole."""
    with Store.open(sqlite_url) as store:
        store.create_run(made.run_record("r1"))
    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, sqlite_url, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    acknowledged, *message = done.stdout.strip().split("\n")
    assert len(message) == 1
    assert message[0].startswith("store sqlite:///")
    with Store.open(sqlite_url) as store:
        assert store.last_seq("r1") == int(acknowledged) > 0
        assert store.loop_state("r1") == {"seq": int(acknowledged), "cash": made.decision(int(acknowledged)).cash}


def test_no_server(tmp_path: Path) -> None:
    """A PostgreSQL server that is not there is said so, without the password."""
    with pytest.raises(StoreError, match="connection") as caught:
        Store.open(f"postgresql://me:secret@/trader?host={tmp_path}")
    assert "secret" not in _one_line(caught.value)


def test_redact() -> None:
    """A URL for people has no password."""
    assert redact("postgresql://me:secret@db/trader") == "postgresql+psycopg://me:***@db/trader"
