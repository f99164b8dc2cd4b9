"""Text and arrays as others write them, and what keeps them read: knows no faces."""
