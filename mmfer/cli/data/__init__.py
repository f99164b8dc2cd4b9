"""`mmfer data`: what is done to faces and labels before training."""
