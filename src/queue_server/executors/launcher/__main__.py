"""The launcher process: `python -I -m queue_server.executors.launcher DESCRIPTOR FILES`.

DESCRIPTOR is that of its socket, FILES how many files programs may have open, 0 for as many as the server.
"""

import signal
import socket
import sys

from queue_server.executors.launcher.hardening import harden
from queue_server.executors.launcher.messages import Channel
from queue_server.executors.launcher.supervisor import Supervisor

IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""The end of the channel is the only order to leave: what stops the server must not stop its cleaner."""


def main() -> None:
    """Serve until the server is gone, and end every program, also when the launcher itself has a bug."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    harden(int(sys.argv[2]))
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    supervisor = Supervisor(Channel(connection))
    try:
        supervisor.serve()
    finally:
        supervisor.end_all()


if __name__ == "__main__":
    main()
