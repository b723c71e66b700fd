"""What a person starts: un-sync, preview, self-test, approvals. Pages, CLI and DAGs share it."""
