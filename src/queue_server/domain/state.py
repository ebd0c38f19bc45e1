"""The states a job can be in."""

from enum import StrEnum


class State(StrEnum):
    """Where a job stands. The last three are final: nothing leaves them but a retry on request."""

    SCHEDULED = "scheduled"
    AVAILABLE = "available"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self in FINAL_STATES


WAITING_STATES = (State.SCHEDULED, State.AVAILABLE)
FINAL_STATES = (State.COMPLETED, State.FAILED, State.CANCELLED)
