"""Proposing a user mapping from the directories, and taking one over."""
