"""What is there, gathered: the state database, Airflow's connections and DAGs."""

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from calendar_sync.config.credentials import (
    CONNECTION_IDS,
    HMAC_KEY,
    WELKIN,
    Fields,
    Missing,
    welkin_credentials,
)
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Platform
from calendar_sync.operations.connection_checks import CREDENTIALS
from calendar_sync.operations.setup import record
from calendar_sync.operations.setup.steps import Connected, There, dags_of
from calendar_sync.state import Store
from calendar_sync.state.place import Place

Read = Callable[[str], Fields]
#: Whether each DAG is paused, None for one that Airflow does not know.
Paused = Callable[[list[str]], Mapping[str, bool | None]]


def look(place: Place, store: Store | None, read: Read, paused: Paused) -> There:
    """Look at everything; nothing is asked outside.

    Args:
        place: how the state database stands.
        store: the database, where it is ready.
        read: the fields of one connection; raises `ConfigurationError`.
        paused: asks Airflow about DAGs; may raise `ConfigurationError`.
    """
    found = record.facts(store) if store is not None else {}
    key, secret = _key(read)

    def connected(name: str, check: Callable[[Fields], object]) -> Connected:
        try:
            fields = read(name)
            check(fields)
        except Missing:
            return Connected()
        except ConfigurationError as error:
            return Connected("incomplete", error.detail)
        mark = record.fingerprint(fields, secret)
        return Connected("configured", tested=record.tested(found, name, mark))

    calendars = {each: connected(CONNECTION_IDS[each], CREDENTIALS[each]) for each in Platform}
    there = There(place, key, connected(WELKIN, welkin_credentials), calendars)
    if store is None:
        return there
    revision = store.config.revision()
    mapped = Counter(row.platform for row in store.config.mapping() if row.enabled)
    states: Mapping[str, bool | None] = {}
    with contextlib.suppress(ConfigurationError):
        states = paused(dags_of(Platform))
    return replace(
        there,
        settings=revision.id,
        level=revision.settings.mirror_content.level,
        mapping=store.config.mapping_revision(),
        mapped={each: mapped[each] for each in Platform},
        dry_run=record.counted(found),
        walked=record.walked(found),
        paused=states,
    )


def _key(read: Read) -> tuple[Connected, str]:
    try:
        fields = read(HMAC_KEY)
    except Missing:
        return Connected(), ""
    except ConfigurationError as error:
        return Connected("incomplete", error.detail), ""
    if not fields.password:
        return Connected("incomplete", f"connection {HMAC_KEY}: password is missing"), ""
    return Connected("configured"), str(fields.password)
