"""Memory: what the server's processes hold resident after all that was measured before."""

from collections.abc import Iterator

from tests.performance.figures import Figure, Goal, alone
from tests.performance.stage import Stage

GOAL = Goal(at_most=150.0)


def measure(stage: Stage) -> Iterator[Figure]:
    server, *children = stage.server.memory()
    yield alone("server_resident_mb", "resident: server", "MB", [server.resident_mb])
    yield alone("server_peak_mb", "resident at most: server", "MB", [server.peak_mb])
    for number, child in enumerate(children, start=1):
        title = f"resident: child {number} ({child.name})"
        yield alone(f"child_{number}_resident_mb", title, "MB", [child.resident_mb])
    total = server.resident_mb + sum(child.resident_mb for child in children)
    yield alone("resident_mb", "resident: all processes", "MB", [total], GOAL)
