"""The admin pages and the guard, for an Airflow that has the package on its path only.

Where the package is installed, Airflow finds them by its entry point: twice would be an error.
"""

from importlib.metadata import entry_points

if not entry_points(group="airflow.plugins", name="calendar_sync_admin"):
    from calendar_sync.admin.plugin import CalendarSyncAdmin

    __all__ = ["CalendarSyncAdmin"]
