"""What people write: settings, user mapping, credentials. Read, checked and compared here."""
