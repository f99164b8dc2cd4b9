"""Images in one file, and batches that are read at once."""
