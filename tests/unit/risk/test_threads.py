"""BLAS on one thread, and as before afterwards."""

from __future__ import annotations

from threadpoolctl import threadpool_info

from risk.threads import one_thread


def _threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_blas_has_one_thread_inside() -> None:
    """numpy's and scipy's libraries both."""
    with one_thread():
        inside = _threads()
    before = _threads()
    with one_thread():
        assert set(_threads()) == set(inside) == {1}
    assert _threads() == before
