"""How a command ends: its exit code, and the error that carries one."""

from enum import IntEnum

from queue_server.domain.errors import InvalidSetting, QueueServerError


class Exit(IntEnum):
    """The exit codes. The last two are those of a shell for a command ended by SIGINT and by SIGPIPE."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_AUTHORISED = 4
    UNREACHABLE = 5
    TIMEOUT = 7
    JOB_FAILED = 10
    INTERRUPTED = 130
    CLOSED_PIPE = 141


_OF_STATUS = {401: Exit.NOT_AUTHORISED, 403: Exit.NOT_AUTHORISED, 404: Exit.NOT_FOUND}


class CommandError(QueueServerError):
    """A command can't do what was asked. The message is for the user, in one or a few lines."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        self.code = code
        super().__init__(message)


def code_of(error: QueueServerError) -> Exit:
    """The exit code for an error: its own, 2 for a wrong setting, that of what the server answered, else 1."""
    from queue_server.client.errors import ClientError, Unreachable

    match error:
        case CommandError():
            return error.code
        case InvalidSetting():
            return Exit.USAGE
        case Unreachable():
            return Exit.UNREACHABLE
        case ClientError(status=int(status)):
            return _OF_STATUS.get(status, Exit.FAILED)
        case _:
            return Exit.FAILED
