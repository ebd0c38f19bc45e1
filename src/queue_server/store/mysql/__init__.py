"""The store of a cluster on one MySQL or MariaDB database.

store.py       the contract, made of the parts below
address.py     the URL of a database
connection.py  one connection: its settings, and its prepared statements
pool.py        the connections: how many, lost ones and new ones, transactions that are tried again
transaction.py what is done inside one transaction, and what has to be told once it is durable
bulk.py        statements for many rows at once
faults.py      the driver's errors: which are tried again, and what they are called outside this folder
migrating.py   the schema
warnings.py    what server it is, whether it can be used, and what its settings weaken of our promises
adding.py      group commit of new jobs
inserting.py   the rows of new jobs, with and without idempotency keys
turns.py       ends and claims of jobs
amending.py    applying what a rule makes of jobs, and how far an operation is
cancelling.py  telling once of each running job that is to be cancelled
purging.py     deleting what is old
counting.py    the numbers of jobs: a tally that is folded
contexts.py    how many jobs of a context wait: an index that is made when somebody asks
upkeep.py      what a node does for the database every second
finding.py     lists of jobs; dialect.py is how they are written here
keeping.py     tokens, secrets
nodes.py       nodes, and their heartbeat in a thread of its own
looking.py     what a node learns by looking
moving.py      moving all rows out of a database and into one; first_table.py reads the table of the first Queue Server
"""
