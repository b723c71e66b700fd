"""What the tasks of each DAG do. Nothing that is returned, raised or logged has patient data."""
