"""When things happen: taking jobs, running them, writing their ends, giving back what was lost, deleting what is old.

engine.py      starts and stops the parts below
slots.py       how many more jobs may run
dispatcher.py  hands the ends of jobs to the store and takes new jobs, in turns
demand.py      whether there may be work, and when the next job becomes due
runner.py      runs one job: executor, outcome, decision
heartbeat.py   the node's sign of life, in a thread of its own
lease.py       whether this node may still run what it has taken
outage.py      says once that the store is out of reach
upkeep.py      how often a node has its turn of what follows
rescuer.py     ends jobs whose node is gone, that were not started in time, or whose target fell silent
operator.py    carries out actions on many jobs, page by page
cleaner.py     deletes jobs whose retention is over
"""
