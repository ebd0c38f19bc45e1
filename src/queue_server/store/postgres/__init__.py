"""The store of a cluster: many equal nodes on one PostgreSQL database.

store.py       the contract; delegates to the parts below
address.py     the database's URL
session.py     one connection: its settings, and its driver's types
pool.py        the connections: how many, lost ones and new ones, transactions that are tried again
faults.py      the driver's errors: which are tried again, and what they are called outside this folder
migrating.py   the schema, and whether this server can use the database
warnings.py    what the database's settings weaken of our promises
statements.py  the named queries, and rows as arrays
adding.py      group commit of new jobs; keys.py has their idempotency keys
turns.py       ends and claims of jobs
amending.py    applying what a rule makes of jobs, and how far an operation is
purging.py     deleting what is old
counting.py    the numbers of jobs: a tally that is folded
finding.py     lists of jobs; dialect.py is how they are written here
reading.py     everything else that is read
keeping.py     tokens, secrets, the audit log
nodes.py       nodes, and their heartbeat in a thread of its own
looking.py     what a node learns by looking
signals.py     LISTEN and NOTIFY, so that it looks at the right time
"""
