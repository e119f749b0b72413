"""Searching hyperparameters and strategies on Ray, with every trial counted.

Pure parts (`space`, `objective`, `journal`, `results`, `evolution`, `strategy`, `report`) know nothing of Ray;
`search`, `trainable` and `evolve` are the edge that runs them in parallel.
"""
