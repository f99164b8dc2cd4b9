"""What is looked at after training."""
