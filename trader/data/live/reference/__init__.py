"""A local server that speaks a vendor's protocol, replays a capture, and misbehaves on request."""
