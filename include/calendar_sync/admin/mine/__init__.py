"""The page of a person whose calendar is synced, whatever their rights in Airflow."""
