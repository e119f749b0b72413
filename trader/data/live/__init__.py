"""Market data as it happens: vendors' messages, connections that are kept up, and a local server to try them on."""
