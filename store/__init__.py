"""Postgres and Redis: what is kept, what is cached, and the bundled servers; no cluster, no web framework."""
