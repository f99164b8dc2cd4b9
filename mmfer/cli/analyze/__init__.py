"""`mmfer analyze`: what is looked at after training."""
