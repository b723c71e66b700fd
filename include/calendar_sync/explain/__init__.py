"""Why: what the sync thinks of an appointment, an event, a user. Reads only, on all sides."""
