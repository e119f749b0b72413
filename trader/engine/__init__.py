"""The way of the data, in plain classes: shard (bars, features) → decider (join, predict, decide, record).

A backtest drives them in one process; `trader.runtime` wraps the same classes as Ray actors.
"""
