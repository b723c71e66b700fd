"""Find the block of an interrupted creation, also in tenants that store no `externalId`.

Whether a tenant stores our ids is not documented. It is learnt from Welkin's answers and kept with
the facts about Welkin. Until it is known, and if ids are not stored, a block is recognised by its
host, its time and its title.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from calendar_sync.adapters.welkin import BlockDraft
from calendar_sync.core.codes import WelkinCode
from calendar_sync.core.errors import BadItem
from calendar_sync.core.model import BlockLink, Span, WelkinEvent, Window, iso, parse_iso
from calendar_sync.state.runs import EXTERNAL_IDS, EXTERNAL_IDS_AT, WELKIN
from calendar_sync.sync.cycle.scope import Scope
from calendar_sync.sync.services import Services

KEPT, LOST, UNSURE = "kept", "lost", "unsure"
# A single odd rejection must not end the use of our ids for ever.
ASK_AGAIN = timedelta(days=7)


@dataclass(frozen=True)
class BlockIds:
    """Creates and finds blocks of one user by their links."""

    services: Services
    scope: Scope

    async def create(self, link: BlockLink, draft: BlockDraft) -> tuple[WelkinEvent, bool]:
        """The block, and whether it is new: one that was there may belong to another link.

        Raises:
            BadItem: Welkin refuses the content.
        """

        async def find() -> WelkinEvent | None:
            return await self.find(link, draft)

        welkin, word = self.services.welkin, self._word()
        external_id = link.external_id if word != LOST else None
        try:
            made = await welkin.create_block(draft, external_id, find)
        except BadItem as refused:
            if refused.code == WelkinCode.UNREADABLE_EVENT:
                raise  # what was found after a lost answer
            found = await find()
            if found is not None:
                return found, False
            if external_id is None or refused.code != WelkinCode.REFUSED:
                raise
            # If the process is killed from here on, it is not known whether ids are stored.
            self._note(UNSURE)
            try:
                made = await welkin.create_block(draft, None, find)
            except BadItem:
                self._note(word)
                raise
            self._note(LOST)
        else:
            learnt = KEPT if made.external_id == external_id else LOST
            if external_id is not None and learnt != word:
                self._note(learnt)
        return made, True

    async def find(self, link: BlockLink, draft: BlockDraft) -> WelkinEvent | None:
        """The block that an interrupted creation has made; the link has the id that it used."""
        kept = self._word() == KEPT
        try:
            found = await self.services.welkin.event_by_external_id(link.external_id, draft.zone)
        except BadItem as error:
            # One that cannot be read is there.
            if kept or (error.code == WelkinCode.UNREADABLE_EVENT and error.detail):
                raise
            found = None
        if found is not None or kept:
            return found
        for span in dict.fromkeys((link.span, draft.span)):
            if (found := await self._by_time(link, draft, span)) is not None:
                return found
        return None

    def owned_elsewhere(self, event_id: str, link: BlockLink) -> bool:
        """Another link has this block."""
        return any(other.id != link.id for other in self.services.store.links.blocks([event_id]))

    async def _by_time(self, link: BlockLink, draft: BlockDraft, span: Span) -> WelkinEvent | None:
        start, end = span.instants(draft.zone)
        events, _ = await self.services.welkin.events(
            [draft.user_id], Window(start, end), draft.zone
        )
        for event in events.values():
            if (
                event.kind == "LEAVE"
                and not event.cancelled
                and not event.external_id
                and event.host_id == draft.user_id
                and (event.title or "") == draft.body()["eventTitle"]
                and event.span.instants(draft.zone) == (start, end)
                and not self.owned_elsewhere(event.id, link)
            ):
                return event
        return None

    def _word(self) -> str:
        facts = self.services.store.runs.facts(WELKIN)
        word, since = facts.get(EXTERNAL_IDS, UNSURE), facts.get(EXTERNAL_IDS_AT)
        noted = parse_iso(since) if isinstance(since, str) else None
        if word == LOST and isinstance(noted, datetime):
            return LOST if self.services.clock.now() - noted < ASK_AGAIN else UNSURE
        return str(word)

    def _note(self, word: str) -> None:
        if word != self._word():
            now = iso(self.services.clock.now())
            self.services.store.runs.set_facts(WELKIN, **{EXTERNAL_IDS: word, EXTERNAL_IDS_AT: now})
