"""The launcher process: `python -I -m queue_server.executors.launcher DESCRIPTOR`, the descriptor of its socket."""

import signal
import socket
import sys

from queue_server.executors.launcher.messages import Channel
from queue_server.executors.launcher.orphans import become_subreaper
from queue_server.executors.launcher.supervisor import Supervisor

IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""The end of the socket is the only order to leave: whatever stops the server's group must not stop its cleaner."""


def main() -> None:
    """Serve until the server is gone, then end every program, also if the launcher itself has a bug."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    become_subreaper()
    supervisor = Supervisor(Channel(socket.socket(fileno=int(sys.argv[1]))))
    try:
        supervisor.serve()
    finally:
        supervisor.end_all()


if __name__ == "__main__":
    main()
