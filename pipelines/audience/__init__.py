"""Who reads an account's posts and when they answer, as its own outcomes tell."""
