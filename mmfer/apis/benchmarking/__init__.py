"""Trains a grid of configs, settings and seeds, keeps what each run reached, and makes tables of it."""
