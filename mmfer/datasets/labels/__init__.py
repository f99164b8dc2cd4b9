"""Names of classes, and labels: theirs, ours, noisy ones."""
