"""Which optimizer is better, by how much, and how sure: run folders in, numbers out."""
