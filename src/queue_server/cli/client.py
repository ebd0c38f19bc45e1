"""The client as commands use it: with their name, and without asking again unless they want it."""

from queue_server import __version__
from queue_server.client import AsyncClient, Client
from queue_server.client.address import Address

USER_AGENT = f"queue-server-cli/{__version__}"


def connect(server: Address, *, retry_for: float = 0.0) -> Client:
    """A client of the server. Use it in a `with`."""
    return Client(server.url, token=server.token, retry_for=retry_for, user_agent=USER_AGENT)


def connect_many(server: Address, connections: int, *, retry_for: float) -> AsyncClient:
    """A client for many requests at once, at most `connections` of them."""
    return AsyncClient(
        server.url, token=server.token, retry_for=retry_for, user_agent=USER_AGENT, max_connections=connections
    )
