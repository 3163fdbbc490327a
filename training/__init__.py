"""Scripts that produce what stands under models/: python -m training.NAME --data ... --out ..."""
