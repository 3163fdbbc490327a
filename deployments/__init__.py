"""HTTP and Ray Serve: thin classes around the pipelines; no model maths, no SQL."""
