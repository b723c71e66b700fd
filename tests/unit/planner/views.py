"""Views made by hand, and a little world that carries plans out without any service."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from calendar_sync.config.settings import Settings, parse
from calendar_sync.core.identity import Identity
from calendar_sync.core.model import (
    Action,
    AnyLink,
    Appointment,
    BlockLink,
    CalendarEvent,
    Cancel,
    ChangeLink,
    CreateBlock,
    CreateMirror,
    DeleteBlock,
    DeleteMirror,
    Direction,
    Encounter,
    Link,
    LinkState,
    LookUp,
    Meeting,
    MirrorLink,
    Plan,
    Platform,
    Removal,
    Removed,
    Reschedule,
    Row,
    SeriesSet,
    Source,
    Span,
    Tombstone,
    UpdateBlock,
    UpdateMirror,
    WelkinEvent,
    WriteBack,
)
from calendar_sync.planner import CalendarView, View, plan
from calendar_sync.planner import mirror_text as privacy
from calendar_sync.planner.snapshot import BlockSeen

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
ZONE = ZoneInfo("America/New_York")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ME, ACCOUNT = "user-1", "dana@example.org"
IDENTITY = Identity("key", "demo/live")
PLACE = (ME, Platform.GOOGLE, ACCOUNT, "primary")


def settings(**document: Any) -> Settings:
    return parse(document)


def span(hours: float = 24, length: float = 1) -> Span:
    """So many hours from now, so many hours long."""
    start = NOW + timedelta(hours=hours)
    return Span(start, start + timedelta(hours=length))


def days(first: int, count: int = 1) -> Span:
    start = date(2026, 3, 2) + timedelta(days=first)
    return Span(start, start + timedelta(days=count))


def appointment(
    key: str = "a1",
    when: Span | None = None,
    *,
    users: Iterable[str] = (ME,),
    kind: str = "ENCOUNTER",
    template: str | None = "etmp-follow-up",
    status: str = "DRAFT",
    known: bool = True,
    cancelled: bool = False,
) -> Appointment:
    when = when or span()
    people = frozenset(users)
    event = WelkinEvent(key, when, next(iter(people), None), people, kind, cancelled)
    encounter = Encounter(key, f"e-{key}", template, status) if known else None
    if kind != "ENCOUNTER":
        encounter = None
    content = IDENTITY.appointment_hash(
        event, encounter.template if encounter else None, encounter.status if encounter else ""
    )
    return Appointment(event, encounter, content)


def event(key: str = "x1", when: Span | None = None, **more: Any) -> CalendarEvent:
    return CalendarEvent(key, span=when or span(), **more)


def instance(series: str, original: Span, when: Span | None = None, **more: Any) -> CalendarEvent:
    start = str(original).split("/")[0]
    return CalendarEvent(
        f"{series}_{start}", span=when or original, series_id=series, original_start=start, **more
    )


def tombstone(found: Row) -> Tombstone:
    return Tombstone(
        found.id, found.etag, found.series_id, found.original_start, found.is_master,
        found.marker, found.version, found.key,
    )  # fmt: skip


def external_id(calendar: str, source: Source, generation: int = 1) -> str:
    place = (Platform.GOOGLE, ME, ACCOUNT, calendar, source)
    return IDENTITY.block_external_id(*place, generation)


def seen_hash(when: Span) -> str:
    return f"seen {when}"


@dataclass
class Little:
    """Both sides and the links between them. `plan` and `carry_out` as a cycle would."""

    rules: Settings = field(default_factory=settings)
    direction: Direction = Direction.BIDIRECTIONAL
    now: datetime = NOW
    appointments: dict[str, Appointment] = field(default_factory=dict)
    events: dict[str, CalendarEvent | Removed] = field(default_factory=dict)
    #: Of a further calendar that counts as busy, if there is one.
    second: dict[str, CalendarEvent | Removed] | None = None
    second_gone: set[str] = field(default_factory=set)
    blocks: dict[str, BlockSeen] = field(default_factory=dict)
    links: dict[int, Link] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    series: dict[str, SeriesSet] = field(default_factory=dict)
    approved: frozenset[str] = frozenset()
    full: bool = True
    written_back: set[str] = field(default_factory=set)
    other_blocks_known: bool = True
    claimed_elsewhere: frozenset[str] = frozenset()
    kept_elsewhere: dict[Meeting, BlockLink] = field(default_factory=dict)
    platform: Platform = Platform.GOOGLE
    counter: int = 0

    def add(self, *items: Appointment | CalendarEvent | Removed) -> "Little":
        for item in items:
            if isinstance(item, Appointment):
                self.appointments[item.id] = item
            else:
                self.events[item.id] = item
        return self

    def view(self) -> View:
        rules, now = self.rules, self.now
        mirrors = {link.mirror_id for link in self.links.values() if isinstance(link, MirrorLink)}
        return View(
            user_id=ME,
            platform=self.platform,
            account=ACCOUNT,
            now=now,
            zone=ZONE,
            direction=self.direction,
            mirror_window=rules.mirror_window(now),
            block_window=rules.block_window(now, ZONE),
            list_window=rules.list_window(now),
            appointments=dict(self.appointments),
            drafts={
                key: privacy.draft(found, rules, IDENTITY, ZONE.key, self.platform)
                for key, found in self.appointments.items()
                if ME in found.event.user_ids
            },
            blocks=dict(self.blocks),
            absent=frozenset(self.absent),
            calendars=(
                CalendarView(
                    "primary",
                    holds_mirrors=True,
                    counts_as_busy=True,
                    full=self.full,
                    events={
                        k: e.not_found() if k in self.gone and isinstance(e, Removed) else e
                        for k, e in self.events.items()
                    },
                    series=dict(self.series),
                    lookups={
                        **dict.fromkeys(self.gone, LookUp.MISSING),
                        **dict.fromkeys(self.denied, LookUp.DENIED),
                        **dict.fromkeys(self.gone & self.denied, LookUp.DOUBTED),
                    },
                    hashes={
                        k: IDENTITY.event_hash(e)
                        for k, e in self.events.items()
                        if isinstance(e, CalendarEvent)
                        and (k in mirrors or IDENTITY.is_ours(e.marker))
                    },
                    ours=frozenset(k for k, e in self.events.items() if IDENTITY.is_ours(e.marker)),
                ),
                *self._second_view(),
            ),
            links=tuple(self.links.values()),
            identity=IDENTITY,
            other_blocks_known=self.other_blocks_known,
            claimed_elsewhere=self.claimed_elsewhere,
            kept_elsewhere=dict(self.kept_elsewhere),
            level=rules.mirror_content.level,
            approved=self.approved,
            written_back=frozenset(self.written_back),
        )

    def _second_view(self) -> Iterator[CalendarView]:
        if self.second is not None:
            yield CalendarView(
                "second",
                holds_mirrors=False,
                counts_as_busy=True,
                full=self.full,
                events=dict(self.second),
                lookups=dict.fromkeys(self.second_gone, LookUp.MISSING),
            )

    def plan(self) -> Plan:
        return plan(self.view(), self.rules)

    def run(self) -> Plan:
        """Plan and carry out."""
        made = self.plan()
        for action in made.actions:
            self.carry_out(action)
        return made

    def settle(self) -> None:
        """Carry out; a second look then finds nothing."""
        self.run()
        assert self.plan().actions == ()

    def link(self, key: str = "") -> Link:
        """The only link, or that of this source."""
        [found] = [link for link in self.links.values() if key in ("", link.source.id)]
        return found

    def mirror(self, key: str = "") -> MirrorLink:
        found = self.link(key)
        assert isinstance(found, MirrorLink)
        return found

    def block(self, key: str = "") -> BlockLink:
        found = self.link(key)
        assert isinstance(found, BlockLink)
        return found

    def event(self, key: str) -> CalendarEvent:
        found = self.events[key]
        assert isinstance(found, CalendarEvent)
        return found

    def change(self, link: Link, **values: Any) -> None:
        assert link.id is not None
        self.links[link.id] = replace(link, **values)

    def carry_out(self, action: Action) -> None:
        match action:
            case ChangeLink():
                self.change(self._stored(action.link))
            case Reschedule() | Cancel():
                self._write_back(action)
            case CreateMirror() | UpdateMirror():
                self._write_mirror(action)
            case DeleteMirror():
                old = self.events.get(action.link.mirror_id)
                if old is not None:
                    self.events[old.id] = tombstone(old)
                self.change(action.link, state=LinkState.DELETED)
            case CreateBlock() | UpdateBlock():
                self._write_block(action)
            case DeleteBlock():
                self.blocks.pop(action.link.block_id, None)
                self.change(action.then or replace(action.link, state=LinkState.DELETED))

    def _stored(self, link: AnyLink) -> AnyLink:
        if link.id is not None:
            return link
        self.counter += 1
        return replace(link, id=self.counter)

    def _write_back(self, action: WriteBack) -> None:
        """The appointment follows what was done to its mirror."""
        link, key = action.link, action.source.id
        before = self.appointments[key]
        self.written_back.add(key)
        cancel = isinstance(action, Cancel)
        after = replace(before.event, cancelled=cancel, span=action.span)
        content = IDENTITY.appointment_hash(after, None, "")
        self.appointments[key] = Appointment(after, None, content)
        if cancel:
            self.change(link, state=LinkState.DELETED)
            return
        found = self.appointments[key]
        draft = privacy.draft(found, self.rules, IDENTITY, ZONE.key, self.platform)
        self.change(
            link,
            span=after.span,
            wanted_hash=draft.hash,
            mirror_hash=IDENTITY.event_hash(self.event(link.mirror_id)),
            appointment_hash=content,
        )

    def _next(
        self, link: AnyLink, action: CreateMirror | UpdateMirror | CreateBlock | UpdateBlock
    ) -> AnyLink:
        link = self._stored(link)
        made = isinstance(action, CreateMirror | CreateBlock)
        return replace(
            link,
            generation=link.generation + 1 if made else link.generation,
            state=LinkState.LIVE,
            span=action.span,
            restores=link.restores + 1 if action.restore else link.restores,
            restored_at=self.now if action.restore else link.restored_at,
        )

    def _write_mirror(self, action: CreateMirror | UpdateMirror) -> None:
        draft = action.draft
        new = MirrorLink(*PLACE, appointment_id=action.source.id, span=action.span)
        link = self._next(action.link or new, action)
        written = CalendarEvent(
            f"mirror-{link.id}-{link.generation}",
            span=draft.span,
            private=True,
            title=draft.title,
            description=draft.description,
            marker=IDENTITY.marker(ME, action.source.id),
        )
        self.events[written.id] = written
        content = IDENTITY.event_hash(written)
        assert content == draft.hash
        self.change(
            link,
            mirror_id=written.id,
            wanted_hash=draft.hash,
            mirror_hash=content,
            appointment_hash=self.appointments[action.source.id].source_hash,
            level=draft.level,
            around=draft.around,
        )

    def _write_block(self, action: CreateBlock | UpdateBlock) -> None:
        calendar = action.calendar if isinstance(action, CreateBlock) else action.link.calendar
        new = BlockLink(*PLACE[:3], calendar, source=action.source, span=action.span)
        link = self._next(action.link or new, action)
        key, content = f"block-{link.id}-{link.generation}", seen_hash(action.span)
        self.blocks[key] = BlockSeen(key, action.span, content, cancelled=False)
        self.absent.discard(key)
        self.change(
            replace(link, source=action.source),
            event_id=action.event.id,
            event_uid=IDENTITY.event_uid(action.event),
            block_id=key,
            wanted_hash=action.content,
            block_hash=content,
        )


def steps(made: Plan) -> list[tuple[str, str]]:
    return [(action.step.value, action.reason) for action in made.actions]


def absences(actions: Iterable[Action]) -> list[bool]:
    return [isinstance(action, Removal) and action.absence for action in actions]


def reasons(made: Plan) -> set[tuple[str, bool]]:
    return {(a.reason, isinstance(a, Removal) and a.absence) for a in made.actions}


def adopted(made: Plan) -> list[str]:
    return [action.adopts for action in made.actions if isinstance(action, CreateBlock)]


__all__ = ["SeriesSet", "Source"]
