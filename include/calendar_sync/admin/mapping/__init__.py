"""The user mapping: shown, edited, imported, proposed, checked."""
