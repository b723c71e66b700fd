"""The engine: who is synced, what has changed (`noticing`), one pass over a user (`cycle`)."""
