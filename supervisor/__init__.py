"""The only code that starts servers: Postgres, Redis, the Ray cluster."""
