"""When things happen: taking jobs, running them, writing their ends, giving back what was lost, deleting what is old.

    engine.py      starts and stops the parts below
    slots.py       how many more jobs may run
    fetcher.py     claims jobs when there is work and a free slot, and sleeps otherwise
    runner.py      runs one job: executor, outcome, decision
    completer.py   writes what was decided, in batches
    heartbeat.py   the node's sign of life, in a thread of its own
    rescuer.py     gives back jobs of nodes that are gone
    cleaner.py     deletes jobs whose retention is over
"""
