"""The operations on a store, put together as the server does, for tests that need no HTTP."""

from pathlib import Path

from queue_server.config.settings import Settings
from queue_server.domain.target_items import ANYWHERE
from queue_server.domain.targets import Surroundings, Targets
from queue_server.operations.add import AddJob
from queue_server.operations.elsewhere import Elsewhere
from queue_server.operations.explain import Explain
from queue_server.operations.look import Look
from queue_server.operations.manage import Manage, Rules
from queue_server.operations.many import Many
from queue_server.operations.output import ReadOutput
from queue_server.operations.policy import Policy
from queue_server.operations.wait import Wait
from queue_server.store.contract import Store
from queue_server.store.relay import NoRelay
from queue_server.telemetry.job_events import JobEvents
from queue_server.vault.kept import Kept
from queue_server.vault.keys import Keys
from queue_server.vault.sealing import Vault
from tests.builders.jobs import NOW, SECOND

SECRET_KEY = "k" * 43


class FixedClock:
    """It is always NOW."""

    def now(self) -> int:
        return NOW

    def monotonic(self) -> float:
        return 0.0


class Parts:
    """All operations of one server. Made in the event loop that they belong to."""

    def __init__(self, store: Store, settings: Settings | None = None) -> None:
        settings, clock = settings or Settings(exec="any"), FixedClock()
        policy = Policy(settings, Targets(ANYWHERE, Surroundings()), lambda _token_id: ANYWHERE)
        sealer = Kept(Vault(Keys(SECRET_KEY, Path("/nowhere.key"))))
        self.store = store
        self.events = JobEvents(clock, "run")
        self.rules = Rules(settings, policy, clock, sealer)
        self.look = Look(store, clock, lease=SECOND)
        self.wait = Wait(self.look, self.events)
        self.explain = Explain(store, self.look, settings, policy, clock)
        self.add = AddJob(store, settings, policy, clock=clock, events=self.events, sealer=sealer)
        self.manage = Manage(store, self.rules, clock=clock, chance=lambda: 0.5, events=self.events)
        self.many = Many(store, self.rules, clock, started=lambda: None)
        self.output = ReadOutput(store, (), Elsewhere(NoRelay(), NoRelay().follow, lambda: 1))
