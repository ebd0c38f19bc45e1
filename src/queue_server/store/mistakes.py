"""Mistakes of ours in what goes on by itself: they have to be seen, and end nothing."""

import asyncio


def report(what: str, error: Exception) -> None:
    """Have the event loop's handler log an error: `what` failed."""
    message = f"{what} failed; this is a bug, please report it"
    asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
