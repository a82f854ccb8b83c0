"""Image sets: decoded once, memory-mapped, handed out as whole augmented batches."""
