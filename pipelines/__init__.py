"""Plain Python models and rules: no Ray, no web framework, no database."""
