"""Widgets: each gets plain data, and emits what the person asked for as signals."""
