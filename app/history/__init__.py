"""The person's history: what was imported, what was learnt from it, what was said, all in one SQLite file."""
