"""Edits of an author's own text that touch no fact, and advice."""
