"""The record of operations, searched."""
