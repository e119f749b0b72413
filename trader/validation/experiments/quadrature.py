"""Nodes and weights of Gauss-Legendre quadrature."""

from __future__ import annotations

from functools import cache

import scipy

from trader.validation.experiments.results import FloatArray

__all__ = ["legendre_rule"]


@cache
def legendre_rule(n_nodes: int) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights on the interval from -1 to 1, computed once and read-only.

    Parameters
    ----------
    n_nodes : int
        At least 1; polynomials up to degree ``2 n_nodes - 1`` are integrated exactly.

    Returns
    -------
    nodes, weights : ndarray of shape (n_nodes,)

    Examples
    --------
    >>> nodes, weights = legendre_rule(2)
    >>> round(float(weights @ nodes**2), 12) == round(2 / 3, 12)
    True
    """
    # numpy's own rule takes the eigenvalues of a dense matrix, which costs seconds where cores are few.
    nodes, weights = scipy.special.roots_legendre(n_nodes)
    nodes.setflags(write=False)
    weights.setflags(write=False)
    return nodes, weights
