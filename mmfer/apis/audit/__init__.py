"""Finds training labels that are probably wrong."""
