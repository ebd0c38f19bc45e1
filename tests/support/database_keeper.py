"""Runs a database server for as long as a test run lives: `python FILE PID FOLDER USER COMMAND…`.

A process of its own, because a test run can end in any way. It runs the COMMAND as USER (a number); once the process
PID has ended, or the server, it ends the server and removes FOLDER, so that nothing is left behind.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """See above."""
    tests, folder, user, *command = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server = subprocess.Popen(command, user=int(user), extra_groups=[] if os.getuid() == 0 else None)
        try:
            wait_for_an_end(int(tests), server.pid)
        finally:
            end(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def wait_for_an_end(*processes: int) -> None:
    try:
        descriptors = [os.pidfd_open(process) for process in processes]
    except ProcessLookupError:
        return
    select.select(descriptors, [], [])


def end(server: subprocess.Popen[bytes]) -> None:
    """SIGINT is PostgreSQL's fast stop and nothing to MariaDB, which stops at SIGTERM."""
    server.send_signal(signal.SIGINT if Path(str(server.args[0])).name == "postgres" else signal.SIGTERM)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
