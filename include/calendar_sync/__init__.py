"""Keep Welkin schedules and staff calendars in step, both ways, under Apache Airflow."""

from calendar_sync.core.redaction import install

install()
