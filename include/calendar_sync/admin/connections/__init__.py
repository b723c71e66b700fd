"""The connections that the sync uses, and their tests."""
