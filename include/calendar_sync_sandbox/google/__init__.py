"""A double of the Google Calendar API v3."""
