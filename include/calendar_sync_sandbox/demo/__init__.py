"""The demo: the story of a sync, played on the sandbox and a real Airflow (`make demo`).

`stage` starts and ends everything, `world` speaks to the sandbox, `acts` makes the edits and looks
at the other side, `push` has calendars tell of edits, `runs` follows the DAGs, `story` plays both
platforms at once, `checks` searches for what must not be anywhere.
"""
