"""Labels beyond the forward return, and how much each should count.

Barriers and meta-labels say how a bet ended; weights allow for labels that share returns.
"""

from trader.models.labels.barriers import BarrierLabels, MetaLabels, meta_labels, triple_barrier
from trader.models.labels.sequential import draw_probabilities, sequential_bootstrap
from trader.models.labels.weights import (
    average_uniqueness,
    concurrency,
    return_attribution,
    sample_weights,
    time_decay,
    vertical_touch,
)

__all__ = [
    "BarrierLabels",
    "MetaLabels",
    "average_uniqueness",
    "concurrency",
    "draw_probabilities",
    "meta_labels",
    "return_attribution",
    "sample_weights",
    "sequential_bootstrap",
    "time_decay",
    "triple_barrier",
    "vertical_touch",
]
