"""One thread for small matrices."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager

from threadpoolctl import ThreadpoolController

__all__ = ["one_thread"]


def one_thread() -> AbstractContextManager[object]:
    """Return a context in which BLAS uses one thread.

    An optimiser makes thousands of tiny BLAS calls; on a busy machine, waiting for a second thread made fits by
    scipy's take ten times as long (measured).
    """
    # Looking for the libraries costs milliseconds; numpy and scipy have loaded theirs when this is first called.
    limit: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limit


@functools.cache
def _controller() -> ThreadpoolController:
    import scipy.linalg  # noqa: F401 - loads the library to be found

    return ThreadpoolController()
