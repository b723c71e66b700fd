"""A double of the Welkin Health API."""
