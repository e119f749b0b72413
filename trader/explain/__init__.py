"""Why a model gave a score: attributions, local and global, with their errors and their background stated."""
