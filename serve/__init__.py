"""Serving the ensemble over HTTP and by handle, on Ray Serve."""
