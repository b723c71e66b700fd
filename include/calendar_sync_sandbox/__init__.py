"""Welkin, Google Calendar and Microsoft Graph for demo and tests: real wire formats, in memory."""

from calendar_sync_sandbox.clock import Clock, RealClock
from calendar_sync_sandbox.faults import ConnectionBroken, Fault
from calendar_sync_sandbox.sandbox import Sandbox
from calendar_sync_sandbox.server import running, serve, serve_async

__all__ = [
    "Clock",
    "ConnectionBroken",
    "Fault",
    "RealClock",
    "Sandbox",
    "running",
    "serve",
    "serve_async",
]
