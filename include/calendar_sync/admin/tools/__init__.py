"""Reports, self-test, the check of the record, un-sync."""
