"""`make bench`: what the sync costs, measured, and written to docs/benchmarks.md.

`python -m bench` starts real processes: a sandbox over HTTPS, workers, an Airflow. pytest
collects nothing of it but the small test that its own parts work.
"""
