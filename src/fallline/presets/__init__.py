"""Recipes: functions that return a complete config and say what to expect of it."""
