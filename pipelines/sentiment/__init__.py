"""Reads how a text feels and what it wants: sentiment, emotion, risks, intent."""
