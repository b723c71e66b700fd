"""The same data as JSON, for scripts: under /api/v1."""
