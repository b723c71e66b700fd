"""Conflicts, failed items, approvals: what waits for a decision."""
