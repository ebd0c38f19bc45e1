"""The server process. parts.py puts it together, life.py starts and stops it, process.py prepares the process.

processes.py starts several of them behind one port, each at its place.py.
"""

from queue_server.server.life import run

__all__ = ["run"]
