"""Airflow sets logging up when it is imported: amid a test, `caplog` would stay empty."""

import airflow.sdk  # noqa: F401
