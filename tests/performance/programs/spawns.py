"""The bare limit of running commands: starts /bin/true over and over and reaps it, a number of them at once.

Arguments: how many, how many at once. Hands in the commands run.
"""

import os
import sys
import time

from tests.performance.work import Work, hand_in


def spawn(count: int, concurrency: int) -> Work:
    """Run `count` commands."""
    begin, running = time.monotonic(), 0
    for _ in range(count):
        if running == concurrency:
            os.waitpid(-1, 0)
            running -= 1
        os.posix_spawn("/bin/true", ["/bin/true"], {})
        running += 1
    while running:
        os.waitpid(-1, 0)
        running -= 1
    seconds, used = time.monotonic() - begin, os.times()
    return Work(amount=count, seconds=seconds, cpu_s=sum(used[:4]))


if __name__ == "__main__":
    hand_in(spawn(int(sys.argv[1]), int(sys.argv[2])))
