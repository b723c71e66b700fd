"""The guided first set-up."""
