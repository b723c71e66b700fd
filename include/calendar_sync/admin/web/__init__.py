"""The ground of every page: who asks, what they may do, rendering, jobs, looks at other systems."""

#: Where Airflow mounts the pages. The plugin reads it: nothing is imported here.
PREFIX = "/calendar-sync"
