"""Keep Welkin schedules and staff calendars in step, both ways, under Apache Airflow."""
