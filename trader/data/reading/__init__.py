"""Parts of the reader of market files: opening, naming columns, reading stamps and values."""
