"""Scripts that produce what stands under models/: python -m pipelines.training.NAME --data ... --out ..."""
