"""What Airflow's auth manager enforces of who may start and answer the DAGs that remove things."""

from calendar_sync.core.dag_ids import DECIDING

#: Auth managers that read `access_control` of a DAG.
KNOWS_DAGS = ("FabAuthManager",)
#: The middleware in admin/dag_guard.py, which is above this layer.
GUARD = "DagGuard"


def who_may_decide() -> list[str]:
    """Sentences about this Airflow, as far as its configuration and plugins here tell."""
    from airflow.plugins_manager import get_fastapi_plugins
    from airflow.sdk.configuration import conf

    manager = conf.get("core", "auth_manager", fallback="").rpartition(".")[2]
    simple = manager == "SimpleAuthManager"
    if simple and conf.getboolean("core", "simple_auth_manager_all_admins", fallback=False):
        return [
            "everyone who can open Airflow is an administrator (simple_auth_manager_all_admins), "
            "and can delete all synced events"
        ]
    _, around = get_fastapi_plugins()
    guarded = any(getattr(one.get("middleware"), "__name__", "") == GUARD for one in around)
    names = " and ".join(sorted(DECIDING))
    if manager in KNOWS_DAGS:
        alone = f"{manager} lets roles with the right to edit all DAGs start and answer {names}"
    else:
        alone = f"{manager} has no rights for single DAGs such as {names}"
    if guarded:
        return [f"{alone}; the plugin in the API server requires the same right as the pages"]
    return [
        f"{alone}, and the plugin (calendar_sync_admin) is not loaded here: without it "
        "in the API server, everyone who can start a DAG can delete synced events"
    ]
