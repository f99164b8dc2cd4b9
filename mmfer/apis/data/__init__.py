"""What is done to a folder of faces or labels before training."""
