"""All users, and one user."""
