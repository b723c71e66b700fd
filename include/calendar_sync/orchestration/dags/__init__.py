"""The DAGs: one module each. Parsed again and again, so what tasks do is imported when they run."""
