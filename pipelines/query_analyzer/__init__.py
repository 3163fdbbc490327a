"""Reads what a query says: language, entities, keywords, readability."""
