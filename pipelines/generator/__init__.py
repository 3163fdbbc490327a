"""Writes candidates for a brief and chooses among what was written."""
