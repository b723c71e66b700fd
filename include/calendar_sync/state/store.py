"""All parts of the state database under one name."""

from calendar_sync.state.audit import AuditStore
from calendar_sync.state.choices import ChoiceStore
from calendar_sync.state.config import ConfigStore
from calendar_sync.state.database import Database
from calendar_sync.state.feeds import FeedStore
from calendar_sync.state.health import HealthStore
from calendar_sync.state.items import ItemStore
from calendar_sync.state.links import LinkStore
from calendar_sync.state.marks import MarkStore
from calendar_sync.state.noticing import NoticingStore
from calendar_sync.state.own_calendars import OwnCalendarStore
from calendar_sync.state.pauses import PauseStore
from calendar_sync.state.push import PushStore
from calendar_sync.state.rules import RuleStore
from calendar_sync.state.runs import RunStore
from calendar_sync.state.shared import LeaseStore, RateStore, TokenStore
from calendar_sync.state.sweeps import SweepStore


class Store:
    """The state database by meaning. `key` is the organisation's HMAC key (for the audit)."""

    def __init__(self, database: Database, key: str) -> None:
        self.database = database
        self.config = ConfigStore(database)
        self.marks = MarkStore(database)
        self.push = PushStore(database)
        self.links = LinkStore(database)
        self.own_calendars = OwnCalendarStore(database)
        self.items = ItemStore(database)
        self.noticing = NoticingStore(database)
        self.pauses = PauseStore(database)
        self.choices = ChoiceStore(database)
        self.feeds = FeedStore(database)
        self.rules = RuleStore(database)
        self.runs = RunStore(database)
        self.health = HealthStore(database)
        self.sweeps = SweepStore(database)
        self.audit = AuditStore(database, key)
        self.leases = LeaseStore(database)
        self.tokens = TokenStore(database)
        self.rates = RateStore(database)
