"""What should happen: jobs, commands, states, outcomes and the one function that decides what comes next.

Nothing here knows a database, a socket or the time of day.
"""
