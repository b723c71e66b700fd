"""Tests of calendar_sync_sandbox."""
