"""How drafts will do, and which of two wordings does better."""
