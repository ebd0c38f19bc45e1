"""What the settings allow of a job that is well-formed."""

from collections.abc import Iterator

from queue_server.config.settings import Settings
from queue_server.domain.command import ExecCommand
from queue_server.domain.errors import InvalidJob, NotAllowed, Problem
from queue_server.domain.job import JobRequest, Plan
from queue_server.domain.named import call_problems

EXEC_OFF = (
    "commands are switched off on this server; name the ones that jobs may run in its settings file (setting exec = "
    '"named"), or start it with --exec any: then whoever can add a job can run any command as the server\'s user'
)
ONLY_NAMED = (
    "this server runs only the commands that its settings file names (setting exec is named); "
    'send {"type": "exec", "name": "…", "arguments": {…}} in place of cmd or args'
)


class Policy:
    """Looks at the commands of a job and of its callbacks."""

    def __init__(self, settings: Settings) -> None:
        self._exec = settings.exec
        self._named = settings.commands

    def check(self, job: JobRequest | Plan) -> None:
        """NotAllowed, with the member, if a setting forbids a command of the job; InvalidJob for wrong arguments."""
        if isinstance(job.command, ExecCommand):
            self._check(job.command, "/command")
        if isinstance(job.callback_done, ExecCommand):
            self._check(job.callback_done, "/callback_done")
        if isinstance(job.callback_failed, ExecCommand):
            self._check(job.callback_failed, "/callback_failed")

    def _check(self, command: ExecCommand, path: str) -> None:
        if self._exec == "off":
            raise NotAllowed(path, EXEC_OFF)
        if command.name is None:
            if self._exec == "named":
                raise NotAllowed(f"{path}/{'cmd' if command.cmd is not None else 'args'}", ONLY_NAMED)
        elif problems := [*self._problems(command.name, command, path)]:
            raise InvalidJob(problems)

    def _problems(self, name: str, command: ExecCommand, path: str) -> Iterator[Problem]:
        named = self._named.get(name)
        if named is None:
            raise NotAllowed(f"{path}/name", f"the server's settings file names no command {name} ([commands.{name}])")
        return call_problems(name, named, command, path)
