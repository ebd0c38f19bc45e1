"""How many jobs are in each state: the sum of what every transaction has noted.

Nobody changes a row that others change too, so that transactions never wait for each other here. What was noted is
added up again and again, so that it stays short; several nodes may do so at a time.
"""

from collections import Counter

from queue_server.store.mysql.bulk import listed
from queue_server.store.mysql.transaction import Transaction

FOLD_PAGE = 2000
STATES = 6


async def fold(transaction: Transaction) -> int:
    """Replace a page of notes by their sums; how many notes there were."""
    rows = await transaction.rows("take_tally", FOLD_PAGE)
    if len(rows) <= STATES:
        return len(rows)
    sums: Counter[str] = Counter()
    for _id, state, change in rows:
        sums[state] += change
    await transaction.run("delete_tally", listed([id_ for id_, *_ in rows]))
    await transaction.bulk("insert_tally", [(state, change) for state, change in sums.items() if change])
    return len(rows)
