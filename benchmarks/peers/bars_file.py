"""Bars from the npz file of a benchmark."""

import numpy as np
import pandas as pd

__all__ = ["read_bars"]


def read_bars(path):
    """Return Open, High, Low, Close and Volume by name, each a frame of instants by symbols."""
    with np.load(path) as arrays:
        index = pd.DatetimeIndex(arrays["ts_ns"].astype("datetime64[ns]"))
        return {name.title(): pd.DataFrame(arrays[name], index) for name in ("open", "high", "low", "close", "volume")}
