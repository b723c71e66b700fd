"""Tests of calendar_sync.sandbox."""
