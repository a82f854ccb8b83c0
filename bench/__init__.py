"""Speed, measured: whole commands and single parts, ours beside the others, alternating."""
