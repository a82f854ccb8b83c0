"""Optimizers, schedules and averaging, and the tables that list them."""
