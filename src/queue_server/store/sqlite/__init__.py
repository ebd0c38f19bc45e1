"""The embedded store: one SQLite file, one server process.

store.py       the contract, in the event loop: hands work to the writer and the readers
writer.py      the one writing thread: groups what has collected into one transaction, survives what can be survived
checkpoints.py when the log is copied into the database
session.py     what is done inside a transaction, and the counts and ids that only the writer keeps
amending.py    applying what a rule makes of jobs, and how far an operation is
adding_once.py idempotency keys
purging.py     deleting what is old
finding.py     lists of jobs: the searches of store/search on a reading connection, in SQLite's dialect.py
readers.py     reading connections in threads of their own
connection.py  opening, pragmas, migrations, translation of the driver's errors
lock.py        one server per file
"""
