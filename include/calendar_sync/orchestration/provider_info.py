"""What Airflow reads to learn of our connection type."""

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The entry point of group `apache_airflow_provider`."""
    text = {"type": ["string", "null"]}
    return {
        "package-name": "calendar-sync",
        "name": "Welkin Calendar Sync",
        "description": "Syncs Welkin schedules with staff calendars.",
        "versions": ["0.1.0"],
        "connection-types": [
            {
                "connection-type": "welkin",
                "hook-class-name": "calendar_sync.orchestration.hooks.WelkinHook",
                "ui-field-behaviour": {
                    "hidden-fields": ["port", "schema"],
                    "relabeling": {
                        "host": "Base URL",
                        "login": "API client name",
                        "password": "API client secret",
                    },
                    "placeholders": {
                        "host": "https://api.live.welkincloud.io",
                        "login": "ABCDEFGHIJKL",
                    },
                },
                "conn-fields": {
                    "tenant": {"label": "Organization (tenant)", "schema": {"type": "string"}},
                    "instance": {"label": "Environment (instance)", "schema": {"type": "string"}},
                    "token_path": {
                        "label": "Token path",
                        "schema": text,
                        "description": "Leave empty for /{tenant}/admin/api_clients/{client}",
                    },
                    "verify": {
                        "label": "CA bundle",
                        "schema": text,
                        "description": "Path of a certificate bundle; empty for the system's",
                    },
                },
            }
        ],
    }
