"""Microsoft Graph calendars and the Entra token endpoint."""
