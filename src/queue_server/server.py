"""The one place where the parts are put together, and the life of the process: start, signals, stop."""

import asyncio
import gc
import os
import random
import resource
import signal
import socket
from collections.abc import Callable, Mapping

import uvloop

from queue_server import __version__
from queue_server.clock import SystemClock
from queue_server.config.load import Loaded
from queue_server.config.settings import Settings
from queue_server.domain.command import ExecCommand, HttpCommand
from queue_server.domain.errors import CannotStart, QueueServerError
from queue_server.domain.state import State
from queue_server.domain.targets import Targets
from queue_server.engine.engine import Engine, EngineOptions
from queue_server.engine.heartbeat import LEASE_S
from queue_server.executors.contract import Executor
from queue_server.executors.exec import ExecExecutor
from queue_server.executors.http import HttpExecutor
from queue_server.executors.launcher.hardening import hide_from_commands
from queue_server.executors.programs import rules_of
from queue_server.executors.surroundings import targets_of
from queue_server.executors.users import runs_as_root
from queue_server.operations.add import AddJob
from queue_server.operations.audit import Audit
from queue_server.operations.explain import Explain
from queue_server.operations.look import Look
from queue_server.operations.manage import Manage, Rules, tell
from queue_server.operations.many import Many, rule_of
from queue_server.operations.output import ReadOutput
from queue_server.operations.policy import Policy
from queue_server.operations.secrets import Secrets
from queue_server.operations.target_limits import LimitsOf
from queue_server.operations.tokens import Tokens
from queue_server.operations.wait import Wait
from queue_server.store.contract import Store
from queue_server.store.open import key_file, open_store, store_files
from queue_server.telemetry.events.frames import run_name
from queue_server.telemetry.job_events import JobEvents
from queue_server.telemetry.job_log import JobLog
from queue_server.telemetry.logs import LogOutput, forward_library_logs, make_log, open_output
from queue_server.telemetry.systemd import Systemd
from queue_server.vault.kept import Kept
from queue_server.vault.keys import Keys
from queue_server.vault.revealing import Revealer
from queue_server.vault.sealing import Vault
from queue_server.web.access.guard import Guard
from queue_server.web.app import App, Services, endpoints_of
from queue_server.web.listener import BACKLOG, address_of, bind, is_loopback, web_server
from queue_server.web.tls import Tls, tls_of

EXIT_OK, EXIT_FAILED, EXIT_STOPPED = 0, 1, 130
LAST_ANSWERS_S = 0.5
NAME_LOOKUPS = 32
"""Host names that can be looked up at once; libuv's 4 would let a few dead name servers hold up all other targets."""

GARBAGE_THRESHOLD = 10_000
"""New objects after which the youngest are looked through; Python's 700 is one look for every few requests."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run(loaded: Loaded) -> int:
    """Serve until told to stop; the exit code. QueueServerError, with one line, if the server can't start."""
    _raise_file_limit()
    if loaded.settings.exec != "off":
        hide_from_commands()
    os.environ.setdefault("UV_THREADPOOL_SIZE", str(NAME_LOOKUPS))
    return uvloop.run(_run(loaded))


async def _run(loaded: Loaded) -> int:
    settings, clock = loaded.settings, SystemClock()
    tls = tls_of(settings)
    listener = bind(settings.host, settings.port)
    output = open_output(settings.log_format, clock, os.environ)
    try:
        targets = targets_of(settings, listener, is_on_loopback=is_loopback(listener))
        store = open_store(settings, clock)
        return await Server(settings, store, listener, output, tls=tls, targets=targets).serve()
    except QueueServerError:
        raise
    except ExceptionGroup as group:
        if start_problem := group.subgroup(CannotStart):
            raise CannotStart(str(_first(start_problem))) from None
        output.sink.close()
        raise
    except BaseException:
        output.sink.close()
        raise
    finally:
        listener.close()
        output.sink.close()


def _first(group: BaseExceptionGroup[CannotStart]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class Server:
    """One running server."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        listener: socket.socket,
        output: LogOutput,
        *,
        tls: Tls | None,
        targets: Targets,
    ) -> None:
        self._settings = settings
        self._store = store
        self._listener = listener
        self._tls = tls
        self._output = output
        self._clock = SystemClock()
        self._log = make_log(output, settings.log_level)
        forward_library_logs(self._log)
        self._systemd = Systemd(os.environ)
        self._vault = Vault(Keys(settings.secret_key, key_file(settings)))
        self._kept = Kept(self._vault)
        self._secrets = Secrets(store, self._vault, self._kept, self._clock, self._log)
        self._events = JobEvents(self._clock, run_name(self._clock.now()))
        self._chance = random.Random().random  # noqa: S311 (spreads retries; no secret)
        self._tokens = Tokens(
            store,
            self._clock,
            os.urandom,
            admin_token=settings.admin_token,
            is_loopback=lambda: settings.auth == "off" or is_loopback(listener),
        )
        limits_of = LimitsOf(self._tokens.rules_of)
        self._policy = Policy(settings, targets, limits_of)
        revealer = Revealer(self._vault, self._kept)
        self._executors = _executors(
            settings, self._clock, revealer, targets=targets, limits_of=limits_of, warn=self._log.warning
        )
        self._audit = Audit(store, self._clock, self._log)
        self._rules = Rules(settings, self._policy, self._clock, self._kept)
        self._add = AddJob(store, settings, self._policy, clock=self._clock, events=self._events, sealer=self._kept)
        self._engine = Engine(
            store,
            executors=self._executors,
            clock=self._clock,
            chance=self._chance,
            rule_of=lambda operation: rule_of(self._rules, operation),
            amended=lambda amended: tell(self._events, amended),
            options=_engine_options(settings),
            log=self._log,
            job_log=JobLog(output, settings.log_level),
            events=self._events,
        )
        self._outputs = ReadOutput(store, self._executors.values())
        self._web = web_server(
            App(endpoints_of(self._services(), settings, self._clock), self._guard(), self._log), tls, settings
        )
        self._stops = 0

    async def serve(self) -> int:
        """Run until a signal or a broken store; the exit code."""
        self._store.on_failure(self._store_broke)
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._signalled, number)
        await self._tokens.load()
        self._refuse_to_be_open()
        await self._secrets.load()
        if self._settings.max_waiting_per_context:
            await self._store.count_contexts()
        node = await self._store.register(self._name(), self._settings.concurrency, self._clock.now())
        async with asyncio.TaskGroup() as parts:
            engine = parts.create_task(self._engine.run(node))
            await self._engine.wait_ready()
            _spare_garbage_collector()
            self._listener.listen(BACKLOG)  # clients may connect from the address line on, though uvicorn starts later
            web = parts.create_task(self._web.serve([self._listener]))
            alive = parts.create_task(self._watchdog())
            uses = parts.create_task(self._tokens.keep_writing())
            self._announce()
            await engine
            self._events.close()
            self._outputs.close()
            self._web.should_exit = True
            await web
            alive.cancel()
            uses.cancel()
        await self._tokens.flush()
        await self._store.close()
        self._log.info("stopped")
        return EXIT_OK

    def _services(self) -> Services:
        store, clock = self._store, self._clock
        look = Look(store, clock, round(LEASE_S * 1_000_000))
        return Services(
            add=self._add,
            look=look,
            wait=Wait(look, self._events),
            explain=Explain(store, look, self._settings, self._policy, clock),
            manage=Manage(store, self._rules, clock=clock, chance=self._chance, events=self._events),
            many=Many(store, self._rules, clock, self._engine.operation_added),
            output=self._outputs,
            events=self._events,
            tokens=self._tokens,
            secrets=self._secrets,
            audit=self._audit,
        )

    def _refuse_to_be_open(self) -> None:
        """CannotStart where other machines could connect and nobody could be told from anybody else."""
        if self._settings.auth == "off" or is_loopback(self._listener):
            return
        if not self._tokens.lets_anybody_in(self._clock.now()):
            raise CannotStart(
                f"other machines can reach {address_of(self._listener)}, but no token lets anybody in: make one "
                "with `queue-server token create --name ops --scope admin`, or listen on 127.0.0.1 (setting host), or "
                "set auth to off on a private network"
            )

    def _guard(self) -> Guard:
        return Guard(self._tokens, self._audit, self._settings, self._clock, is_loopback=is_loopback(self._listener))

    def _name(self) -> str:
        return self._settings.node_name or socket.gethostname()

    def _announce(self) -> None:
        settings = self._settings
        self._log.info(
            f"Queue Server {__version__} listens on {address_of(self._listener, is_tls=self._tls is not None)}",
            db=settings.db.rpartition("@")[2],
            slots=settings.concurrency,
            exec=settings.exec,
            pid=os.getpid(),
        )
        if settings.exec == "any":
            whom = settings.exec_run_as or "this server's user"
            self._log.warning(f"commands are on: whoever can add a job can run any command as {whom}")
        if runs_as_root(settings):
            self._log.warning("commands run as root; set exec_run_as to a user that owns nothing of worth")
        if settings.auth == "off":
            who = "this machine" if is_loopback(self._listener) else "whatever can reach this address"
            self._log.warning(f"auth is off: everybody on {who} may add, see, change and delete all jobs")
        elif not is_loopback(self._listener) and self._tls is None:
            self._log.warning("tokens and jobs cross the network unencrypted; set tls_cert and tls_key, or use a proxy")
        self._systemd.notify(f"READY=1\nSTATUS=listening on {address_of(self._listener, is_tls=self._tls is not None)}")

    async def _watchdog(self) -> None:
        if self._systemd.watchdog_s is None:
            return
        while True:
            self._systemd.notify("WATCHDOG=1")
            await asyncio.sleep(self._systemd.watchdog_s / 2)

    def _signalled(self, number: int) -> None:
        """First: stop in good order. Second: interrupt what runs and give it back at once. Third: just end.

        With TLS, SIGHUP stops nothing: it has the certificate read again.
        """
        if number == signal.SIGHUP and self._tls is not None:
            self._read_certificate(self._tls)
            return
        self._stops += 1
        self._add.is_closed = True
        self._outputs.stop_waiting()
        name = signal.Signals(number).name
        match self._stops:
            case 1:
                self._systemd.notify("STOPPING=1")
                self._log.info(f"{name}: stopping; once more stops at once", running=self._engine.running)
                self._engine.stop(self._settings.shutdown_grace)
            case 2:
                self._log.info(f"{name} again: interrupting what runs", running=self._engine.running)
                for executor in self._executors.values():
                    executor.kill_at_once()
                self._engine.stop(0)
            case _:
                os._exit(EXIT_STOPPED)

    def _read_certificate(self, tls: Tls) -> None:
        try:
            tls.read()
        except CannotStart as error:
            self._log.error(f"SIGHUP: the certificate stays as it was: {error}")
        else:
            self._log.info("SIGHUP: new connections get the certificate as it is now")

    def _store_broke(self, message: str) -> None:
        """Nothing can be promised any more: answer what is open with 503, then end. The next start gives jobs back."""
        self._add.is_closed = True
        self._log.error(f"stopping at once: {message}")
        asyncio.get_running_loop().call_later(LAST_ANSWERS_S, self._abort)

    def _abort(self) -> None:
        self._output.sink.close()
        os._exit(EXIT_FAILED)


def _executors(
    settings: Settings,
    clock: SystemClock,
    revealer: Revealer,
    *,
    targets: Targets,
    limits_of: LimitsOf,
    warn: Callable[[str], None],
) -> Mapping[type, Executor]:
    http = HttpExecutor(
        version=__version__,
        output_limit=settings.output_limit,
        default_timeout=settings.http_timeout,
        connect_timeout=settings.connect_timeout,
        heartbeat_timeout=settings.heartbeat_timeout,
        max_response=settings.max_response,
        targets=targets,
        limits_of=limits_of,
        now=clock.now,
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
        warn=warn,
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


def _spare_garbage_collector() -> None:
    """Take what the start made, which stays, out of its sight, and let it look less often: a request makes no cycles.

    Measured on 2026-11-24: it cost 4 % of the time of a durable accept.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, *gc.get_threshold()[1:])


def _raise_file_limit() -> None:
    """Each running job and each client needs a descriptor; the usual soft limit of 1024 is too small."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
