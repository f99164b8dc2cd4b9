"""What is checked before a run's first step."""
