"""Which mapped user a signed-in person is: by the address of a mailbox, or of Welkin."""

from collections.abc import Collection

from sqlalchemy import func, or_, select

from calendar_sync.state import Store
from calendar_sync.state import tables as t


def users_with(store: Store, addresses: Collection[str]) -> list[str]:
    """Ids of the mapped users who have one of these addresses, in whatever case.

    It is that of their account on a platform, or their address in Welkin.
    """
    wanted = sorted({address.lower() for address in addresses})
    mapping, welkin = t.user_mapping, t.welkin_user
    query = (
        select(mapping.c.user_id)
        .select_from(mapping)
        .join(welkin, welkin.c.user_id == mapping.c.user_id, isouter=True)
        .where(
            or_(
                func.lower(mapping.c.account).in_(wanted),
                func.lower(welkin.c.email).in_(wanted),
            )
        )
        .distinct()
    )
    with store.database.read() as connection:
        return sorted(connection.scalars(query)) if wanted else []
