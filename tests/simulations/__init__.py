"""Seeded simulations: whether the statistics of experiments keep what they promise."""
