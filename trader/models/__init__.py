"""Models from feature rows to scores, their ensemble, its training and its artefacts."""
