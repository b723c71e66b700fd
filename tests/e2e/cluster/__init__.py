"""Airflow on Celery with all that belongs to it, and the sync when parts of it are lost."""
