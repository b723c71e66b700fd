"""A link to "My calendar sync" on Airflow's home page, for everybody who can sign in.

Airflow's navigation shows the entries of plugins to those alone who may see its plugins, and with
that right a person sees the sync of all users. For the others, write this line into
`airflow_local_settings.py` of the API server:

    from calendar_sync.orchestration.own_page import DASHBOARD_UIALERTS
"""

from airflow.api_fastapi.common.types import UIAlert

TEXT = "[My calendar sync](calendar-sync/mine): how your own calendar is synced with Welkin."

#: Airflow takes the name over into its settings. The address is relative to the UI's, as those of
#: plugins' entries are.
DASHBOARD_UIALERTS = [UIAlert(text=TEXT, category="info")]
