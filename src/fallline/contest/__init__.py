"""Carries out a comparison: tunes every optimizer alike, repeats the best on fresh seeds."""
