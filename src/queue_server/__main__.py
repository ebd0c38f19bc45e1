"""`python -m queue_server` is the command line."""

from queue_server.cli.main import run

if __name__ == "__main__":
    run()
