"""One training: from a config to a run folder."""
