"""Experiments: assignment, statistics and decisions as pure functions; numpy and scipy alone."""
