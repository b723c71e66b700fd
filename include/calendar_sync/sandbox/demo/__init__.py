"""The demo: the story of a sync, played on the sandbox and a real Airflow (`make demo`).

`stage` starts and ends everything, `world` speaks to the sandbox, `story` makes the edits and
looks at the other side, `checks` searches for what must not be anywhere.
"""
