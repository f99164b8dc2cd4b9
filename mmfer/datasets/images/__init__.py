"""Image files: which are there, whether they can be used, and their pixels."""
