"""Where measurements go: the run folder always; terminal, TensorBoard and W&B by choice."""
