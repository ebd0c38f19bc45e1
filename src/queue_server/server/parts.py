"""The one place where the parts of a server are put together."""

import os
import random
import socket
from collections.abc import Mapping

import msgspec

from queue_server import __version__
from queue_server.clock import ServerClock
from queue_server.config.settings import Settings
from queue_server.domain.command import ExecCommand, HttpCommand
from queue_server.domain.state import State
from queue_server.domain.targets import Targets
from queue_server.engine.engine import Engine, EngineOptions
from queue_server.executors.contract import Executor
from queue_server.executors.exec import ExecExecutor
from queue_server.executors.http import HttpExecutor
from queue_server.executors.programs import rules_of
from queue_server.operations.add import AddJob
from queue_server.operations.audit import Audit
from queue_server.operations.elsewhere import Elsewhere, Sender
from queue_server.operations.explain import Explain
from queue_server.operations.look import Look
from queue_server.operations.manage import Manage, Rules, tell
from queue_server.operations.many import Many, rule_of
from queue_server.operations.output import ReadOutput
from queue_server.operations.policy import Policy
from queue_server.operations.rereading import Rereading
from queue_server.operations.secrets import Secrets
from queue_server.operations.target_limits import LimitsOf
from queue_server.operations.tokens import Tokens
from queue_server.operations.wait import Wait
from queue_server.store.channels import Channels
from queue_server.store.contract import LEASE_S, Store
from queue_server.store.open import key_file, store_files
from queue_server.telemetry.events.frames import run_name
from queue_server.telemetry.job_events import JobEvents
from queue_server.telemetry.job_log import JobLog
from queue_server.telemetry.logs import Log, LogOutput
from queue_server.vault.kept import Kept
from queue_server.vault.keys import Keys
from queue_server.vault.revealing import Revealer
from queue_server.vault.sealing import Vault
from queue_server.web.access.guard import Guard
from queue_server.web.app import App, Services, endpoints_of
from queue_server.web.listener import WebServer, address_of, is_loopback, web_server
from queue_server.web.tls import Tls

EVENTS, OUTPUTS = b"e", b"o"
"""The kind of messages between nodes that tell of events."""


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What a server stands on."""

    settings: Settings
    store: Store
    listener: socket.socket
    output: LogOutput
    log: Log
    clock: ServerClock
    tls: Tls | None
    targets: Targets

    @property
    def address(self) -> str:
        """Where it listens, for people."""
        return address_of(self.listener, is_tls=self.tls is not None)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.listener)


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """The parts that are started and stopped."""

    tokens: Tokens
    secrets: Secrets
    rereading: Rereading
    add: AddJob
    events: JobEvents
    executors: Mapping[type, Executor]
    engine: Engine
    outputs: ReadOutput
    sender: Sender
    guard: Guard
    web: WebServer


def assemble(ground: Ground) -> Parts:
    """A server that is not started yet."""
    settings, store, clock, log = ground.settings, ground.store, ground.clock, ground.log
    vault = Vault(Keys(settings.secret_key, key_file(settings)))
    kept = Kept(vault)
    secrets = Secrets(store, vault, kept, clock, log)
    channels = Channels(store)
    events = JobEvents(clock, run_name(clock.now()), others=channels.open(EVENTS))
    store.on_end(lambda: events.ends.ids, events.ends.came)
    chance = random.Random().random  # noqa: S311 (spreads retries; no secret)
    tokens = _tokens(ground)
    limits_of = LimitsOf(tokens.rules_of)
    policy = Policy(settings, ground.targets, limits_of)
    executors = _executors(ground, Revealer(vault, kept), limits_of)
    rules = Rules(settings, policy, clock, kept)
    engine = Engine(
        store,
        executors=executors,
        clock=clock,
        chance=chance,
        rule_of=lambda operation: rule_of(rules, operation),
        amended=lambda amended: tell(events, amended),
        options=_engine_options(settings),
        log=log,
        job_log=JobLog(ground.output, settings.log_level),
        events=events,
    )
    outputs = channels.open(OUTPUTS)
    elsewhere = Elsewhere(outputs, store.follow, lambda: int.from_bytes(os.urandom(7)))
    sender = Sender(outputs, store, executors.values())
    look = Look(store, clock, round(LEASE_S * 1_000_000))
    audit = Audit(store, clock, log)
    services = Services(
        add=AddJob(store, settings, policy, clock=clock, events=events, sealer=kept),
        look=look,
        wait=Wait(look, events),
        explain=Explain(store, look, settings, policy, clock),
        manage=Manage(store, rules, clock=clock, chance=chance, events=events),
        many=Many(store, rules, clock, engine.operation_added),
        output=ReadOutput(store, executors.values(), elsewhere),
        events=events,
        tokens=tokens,
        secrets=secrets,
        audit=audit,
        is_cut_off=lambda: engine.is_cut_off,
    )
    guard = Guard(tokens, audit, settings, clock, is_loopback=ground.is_loopback)
    return Parts(
        tokens=tokens,
        secrets=secrets,
        rereading=Rereading(store, (tokens.load, secrets.reload)),
        add=services.add,
        events=events,
        executors=executors,
        engine=engine,
        outputs=services.output,
        sender=sender,
        guard=guard,
        web=web_server(App(endpoints_of(services, settings, clock), guard, log), ground.tls, settings),
    )


def _tokens(ground: Ground) -> Tokens:
    return Tokens(
        ground.store,
        ground.clock,
        os.urandom,
        admin_token=ground.settings.admin_token,
        is_loopback=lambda: ground.settings.auth == "off" or ground.is_loopback,
    )


def _executors(ground: Ground, revealer: Revealer, limits_of: LimitsOf) -> Mapping[type, Executor]:
    settings = ground.settings
    http = HttpExecutor(
        version=__version__,
        output_limit=settings.output_limit,
        default_timeout=settings.http_timeout,
        connect_timeout=settings.connect_timeout,
        heartbeat_timeout=settings.heartbeat_timeout,
        max_response=settings.max_response,
        targets=ground.targets,
        limits_of=limits_of,
        now=ground.clock.now,
        revealer=revealer,
    )
    if settings.exec == "off":
        return {HttpCommand: http}
    commands = ExecExecutor(
        revealer=revealer,
        output_limit=settings.output_limit,
        default_timeout=settings.exec_timeout,
        places=_exec_slots(settings),
        rules=rules_of(settings, store_files(settings)),
        warn=ground.log.warning,
    )
    return {HttpCommand: http, ExecCommand: commands}


def _exec_slots(settings: Settings) -> int:
    if settings.exec == "off":
        return settings.concurrency  # what is left of a time when they were on must end, as failed
    return settings.exec_concurrency or 2 * (os.cpu_count() or 1)


def _engine_options(settings: Settings) -> EngineOptions:
    failed = settings.retention_failed
    retention = {
        State.COMPLETED: settings.retention_completed,
        State.FAILED: failed,
        State.CANCELLED: failed,
    }
    return EngineOptions(settings.concurrency, _exec_slots(settings), retention, settings.retention_audit)
