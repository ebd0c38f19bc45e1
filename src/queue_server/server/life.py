"""The life of the server process: start, signals, stop."""

import asyncio
import os
import signal
import socket
from collections.abc import Coroutine, Iterator
from typing import Any

import uvloop

from queue_server import __version__
from queue_server.clock import ServerClock
from queue_server.config.load import Loaded
from queue_server.domain.errors import CannotStart, QueueServerError
from queue_server.executors.surroundings import targets_of
from queue_server.executors.users import runs_as_root
from queue_server.server.parts import Ground, assemble
from queue_server.server.place import Place
from queue_server.server.process import prepare_process, spare_garbage_collector
from queue_server.server.processes import processes_of
from queue_server.store.open import open_store
from queue_server.telemetry.logs import Log, LogOutput, forward_library_logs, make_log, open_output
from queue_server.telemetry.systemd import Systemd
from queue_server.web.listener import BACKLOG, bind, is_loopback
from queue_server.web.tls import Tls, tls_of

EXIT_OK, EXIT_FAILED, EXIT_STOPPED = 0, 1, 130
LAST_ANSWERS_S = 0.5
ONE_STOP_S = 0.5
"""A supervisor may signal all processes of a service, and their parent passes the same on: that is one stop."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run(loaded: Loaded) -> int:
    """Serve until told to stop; the exit code. QueueServerError, with one line, if the server can't start."""
    settings = loaded.settings
    prepare_process(settings)
    if settings.processes == 1:
        return uvloop.run(_run(loaded, Place(bind(settings.host, settings.port))))
    place = processes_of(settings)
    return place if isinstance(place, int) else uvloop.run(_run(loaded, place))


async def _run(loaded: Loaded, place: Place) -> int:
    settings, clock, listener = loaded.settings, ServerClock(), place.listener
    tls = tls_of(settings)
    output = open_output(settings.log_format, clock, os.environ)
    try:
        targets = targets_of(settings, listener, is_on_loopback=is_loopback(listener))
        ground = Ground(
            settings=settings,
            store=await open_store(settings, clock),
            listener=listener,
            output=output,
            log=_log(output, settings.log_level, place),
            clock=clock,
            tls=tls,
            targets=targets,
        )
        return await Server(ground, place).serve()
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


def _log(output: LogOutput, level: str, place: Place) -> Log:
    log = make_log(output, level)
    return log.bind(process=place.number) if place.number else log


def _first(group: BaseExceptionGroup[CannotStart]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class Server:
    """One running server."""

    def __init__(self, ground: Ground, place: Place) -> None:
        forward_library_logs(ground.log)
        self._ground = ground
        self._place = place
        self._log = ground.log
        self._systemd = Systemd(os.environ)
        self._parts = assemble(ground)
        self._stops = 0
        self._stopped_at = 0.0

    async def serve(self) -> int:
        """Run until a signal or a broken store; the exit code."""
        parts, ground = self._parts, self._ground
        ground.store.on_failure(self._store_broke)
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._signalled, number)
        await self._load()
        node = await ground.store.register(self._name(), ground.settings.concurrency, ground.clock.now())
        async with asyncio.TaskGroup() as tasks:
            engine = tasks.create_task(parts.engine.run(node))
            await parts.engine.wait_ready()
            spare_garbage_collector()
            ground.listener.listen(BACKLOG)  # clients may connect from the address line on, though uvicorn starts later
            web = tasks.create_task(parts.web.serve([ground.listener]))
            running = [tasks.create_task(chore) for chore in self._chores()]
            self._announce()
            await engine
            parts.events.close()
            parts.outputs.close()
            parts.sender.close()
            parts.web.stop()
            await web
            for chore in running:
                chore.cancel()
        await parts.tokens.flush()
        await ground.store.close()
        self._log.info("stopped")
        return EXIT_OK

    async def _load(self) -> None:
        """Read what is needed before the first request. CannotStart if everybody could ask anything then."""
        await self._parts.tokens.load()
        self._refuse_to_be_open()
        await self._parts.secrets.load()
        if self._ground.settings.max_waiting_per_context:
            await self._ground.store.count_contexts()

    def _refuse_to_be_open(self) -> None:
        """CannotStart where other machines could connect and nobody could be told from anybody else."""
        if self._ground.settings.auth == "off" or self._ground.is_loopback:
            return
        if not self._parts.tokens.lets_anybody_in(self._ground.clock.now()):
            raise CannotStart(
                f"other machines can reach {self._ground.address}, but no token lets anybody in: make one "
                "with `queue-server token create --name ops --scope admin`, or listen on 127.0.0.1 (setting host), or "
                "set auth to off on a private network"
            )

    def _name(self) -> str:
        return (self._ground.settings.node_name or socket.gethostname()) + self._place.suffix

    def _announce(self) -> None:
        settings = self._ground.settings
        self._log.info(
            f"Queue Server {__version__} listens on {self._ground.address}",
            db=settings.db.rpartition("@")[2].partition("?")[0],
            slots=settings.concurrency,
            exec=settings.exec,
            pid=os.getpid(),
        )
        for warning in self._ground.store.warnings:
            self._log.warning(warning)
        if settings.exec == "any":
            whom = settings.exec_run_as or "this server's user"
            self._log.warning(f"commands are on: whoever can add a job can run any command as {whom}")
        if runs_as_root(settings):
            self._log.warning("commands run as root; set exec_run_as to a user that owns nothing of worth")
        if settings.auth == "off":
            who = "this machine" if self._ground.is_loopback else "whatever can reach this address"
            self._log.warning(f"auth is off: everybody on {who} may add, see, change and delete all jobs")
        elif not self._ground.is_loopback and self._ground.tls is None:
            self._log.warning("tokens and jobs cross the network unencrypted; set tls_cert and tls_key, or use a proxy")
        self._systemd.notify(f"READY=1\nSTATUS=listening on {self._ground.address}")
        self._place.up()

    def _chores(self) -> Iterator[Coroutine[Any, Any, None]]:
        yield self._watchdog()
        yield self._parts.tokens.keep_writing()
        yield self._parts.guard.lasting.watch()
        if self._ground.store.is_shared:
            yield self._parts.rereading.run()

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
        if number == signal.SIGHUP and self._ground.tls is not None:
            self._read_certificate(self._ground.tls)
            return
        now = self._ground.clock.monotonic()
        if self._place.number and now - self._stopped_at < ONE_STOP_S:
            return
        self._stopped_at = now
        self._stops += 1
        self._parts.add.is_closed = True
        self._parts.outputs.stop_waiting()
        name = signal.Signals(number).name
        match self._stops:
            case 1:
                self._systemd.notify("STOPPING=1")
                self._log.info(f"{name}: stopping; once more stops at once", running=self._parts.engine.running)
                self._parts.engine.stop(self._ground.settings.shutdown_grace)
            case 2:
                self._log.info(f"{name} again: interrupting what runs", running=self._parts.engine.running)
                for executor in self._parts.executors.values():
                    executor.kill_at_once()
                self._parts.engine.stop(0)
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
        self._parts.add.is_closed = True
        self._log.error(f"stopping at once: {message}")
        asyncio.get_running_loop().call_later(LAST_ANSWERS_S, self._abort)

    def _abort(self) -> None:
        self._ground.output.sink.close()
        os._exit(EXIT_FAILED)
