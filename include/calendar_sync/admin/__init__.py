"""The admin pages inside the Airflow UI, and the same data as a JSON API.

`app` is all that the plugin registers. Airflow loads plugins in every one of its processes, so
nothing is imported before the first request.
"""

from typing import Any

from calendar_sync.admin.lazy import Lazy


def _make() -> Any:
    from calendar_sync.admin.serving import serve

    return serve()


app = Lazy(_make)
