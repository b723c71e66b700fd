"""Airflow's side: DAGs, tasks, connections and the Welkin hook."""
