"""What a checkpoint says of its training, read as data, and whether it agrees with a config."""
