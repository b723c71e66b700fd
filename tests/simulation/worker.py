"""A worker process for the SIGKILL tests: one pass over real HTTPS, then it ends.

`python -m tests.simulation.worker CONNECTIONS DATABASE_URL FERNET_KEY`. The owner of its leases is
always the same, as that of an Airflow task that is tried again.
"""

import asyncio
import json
import sys
from pathlib import Path

from calendar_sync.config.credentials import Fields, google_credentials, welkin_credentials
from calendar_sync.core.model import Platform
from calendar_sync.state import Database, Store
from calendar_sync.sync.runner import run_pass
from calendar_sync.sync.runtime import Secrets, open_services

HMAC_KEY = "made-up-key-of-the-tests"


async def main(connections: Path, url: str, fernet_key: str) -> int:
    """One pass; returns the number of users that failed."""
    stored = json.loads(connections.read_text(encoding="utf-8"))
    welkin, google = stored["welkin_default"], stored["google_calendar_default"]
    secrets = Secrets(
        welkin=welkin_credentials(
            Fields(welkin["host"], welkin["login"], welkin["password"], welkin["extra"])
        ),
        hmac_key=HMAC_KEY,
        fernet_keys=(fernet_key,),
        google=google_credentials(Fields(extra=google["extra"])),
    )
    database = Database(url)
    revision = Store(database, HMAC_KEY).config.revision()
    async with open_services(secrets, database, revision.settings.limits) as services:
        result = await run_pass(
            services, revision, Platform.GOOGLE, run_id="killed", owner="killed/0"
        )
    database.close()
    return len(result.failed)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])))
