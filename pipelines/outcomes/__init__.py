"""What posts achieved: the files that tell it, and what it says of predictions."""
