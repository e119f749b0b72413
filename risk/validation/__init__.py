"""Whether risk figures can be believed: coverage, independence, shortfall and loss, out of sample."""
