"""What a text is to X and to a reader: characters, length, links, facts, sentences."""
