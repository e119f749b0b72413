"""Honest statistics: time-respecting splits, information coefficients, Sharpe ratios, resampling, leak guards."""
