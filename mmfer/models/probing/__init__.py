"""What a network of any kind is like, as a trial run shows it."""
