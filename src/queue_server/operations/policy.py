"""What the settings allow of a job that is well-formed."""

from queue_server.config.settings import Settings
from queue_server.domain.command import ExecCommand
from queue_server.domain.errors import NotAllowed
from queue_server.domain.job import JobRequest, Plan

EXEC_OFF = (
    "commands are switched off on this server; start it with --exec any (setting exec) to run them: "
    "then whoever can add a job can run any command as the server's user"
)


class Policy:
    """Looks at the commands of a job and of its callbacks."""

    def __init__(self, settings: Settings) -> None:
        self._is_exec_off = settings.exec == "off"

    def check(self, job: JobRequest | Plan) -> None:
        """NotAllowed, with the member, if a setting forbids a command of the job."""
        if not self._is_exec_off:
            return
        if isinstance(job.command, ExecCommand):
            raise NotAllowed("/command", EXEC_OFF)
        if isinstance(job.callback_done, ExecCommand):
            raise NotAllowed("/callback_done", EXEC_OFF)
        if isinstance(job.callback_failed, ExecCommand):
            raise NotAllowed("/callback_failed", EXEC_OFF)
