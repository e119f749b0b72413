"""The engine's parts as Ray actors, and the session that starts, watches and heals them."""
