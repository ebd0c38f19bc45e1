"""What goes on behind `job_events`, which is the way in.

event.py     what happened to a job, made of what the engine and the operations know
frames.py    an event as bytes of an event stream
recent.py    the last events, numbered, to resume from
filters.py   which events a reader wants
group.py     the readers that want the same events
reader.py    one reader: how far it has come
delivery.py  which groups an event is for, and when their readers are told
pace.py      how often, and how much at a time
others.py    the same events, to and from the other nodes of a cluster
ends.py      those who wait for the end of a job
"""
