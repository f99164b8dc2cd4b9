"""Landmark files in every form that is read, and whether points are worth anything."""
