"""What the settings allow of a job that is well-formed."""

from collections.abc import Callable, Iterator

from queue_server.config.settings import Settings
from queue_server.domain.command import Command, ExecCommand, HttpCommand, Unreadable
from queue_server.domain.errors import InvalidJob, NotAllowed, Problem
from queue_server.domain.job import JobRequest, Plan
from queue_server.domain.named import call_problems
from queue_server.domain.target_items import ANYWHERE, TargetLimits
from queue_server.domain.targets import Targets

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

    def __init__(self, settings: Settings, targets: Targets, limits_of: Callable[[int | None], TargetLimits]) -> None:
        self._exec = settings.exec
        self._named = settings.commands
        self._targets = targets
        self._limits_of = limits_of

    def check(self, job: JobRequest | Plan, token_id: int | None) -> None:
        """NotAllowed, with the member, if a setting forbids a command of the job; InvalidJob for wrong arguments.

        `token_id` is the token that adds it. Names in URLs are not resolved here: that is for when the job runs.
        """
        limits = ANYWHERE if token_id is None else self._limits_of(token_id)
        self._check_one(job.command, "/command", limits)
        if job.callback_done is not None:
            self._check_one(job.callback_done, "/callback_done", limits)
        if job.callback_failed is not None:
            self._check_one(job.callback_failed, "/callback_failed", limits)

    def refusal(self, plan: Plan) -> str | None:
        """Why the target of a job that is there already is not allowed, as far as that is known before it runs."""
        command = plan.command
        if isinstance(command, ExecCommand) and self._exec != "off":
            return self._why_not_run(command)
        if not isinstance(command, HttpCommand):
            return None
        return self._targets.refusal_of_url(command.url, self._limits_of(plan.token_id))

    def _why_not_run(self, command: ExecCommand) -> str | None:
        if command.name is None:
            return (
                "only commands that the settings file names run here (setting exec)" if self._exec == "named" else None
            )
        return None if command.name in self._named else f"the settings file names no command {command.name}"

    def _check_one(self, command: Command | Unreadable, path: str, limits: TargetLimits) -> None:
        if isinstance(command, HttpCommand):
            if refusal := self._targets.refusal_of_url(command.url, limits):
                raise NotAllowed(f"{path}/url", refusal)
        elif isinstance(command, ExecCommand):
            self._check(command, path)

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
