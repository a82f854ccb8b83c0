"""Many trainings under one coordinator: a W&B sweep file, anywhere, with the same meaning."""
