"""The server process. parts.py puts it together, life.py starts and stops it, process.py prepares the process."""

from queue_server.server.life import run

__all__ = ["run"]
