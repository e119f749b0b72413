"""The registry of models: versions, their lineage and their artefacts; who decided what of them, and why.

>>> from trader.registry import Alias, State
>>> [str(alias) for alias in Alias]
['champion', 'challenger', 'shadow']
"""

from trader.registry.comparison import Comparison, Metric
from trader.registry.lineage import Environment, Lineage
from trader.registry.reading import Ref, RegistryReader
from trader.registry.records import AliasMove, CleanUp, HistoryEntry, ModelVersion
from trader.registry.registry import Registry
from trader.registry.states import Alias, State

__all__ = [
    "Alias",
    "AliasMove",
    "CleanUp",
    "Comparison",
    "Environment",
    "HistoryEntry",
    "Lineage",
    "Metric",
    "ModelVersion",
    "Ref",
    "Registry",
    "RegistryReader",
    "State",
]
