"""What a node of a cluster learns by looking at the database every second, whatever was missed before.

The stores of shared databases have a Pulse each and give it a PulseSource: their SQL. It tells the listeners of the
store's contract (arrivals, wishes to cancel, ends, messages, outputs that are followed), keeps the clock at the
database's time, and is the truth behind every faster signal: `hurry` has it look at once.

source.py   what a store gives it
pulse.py    when it looks
telling.py  who is told what a look has found
hearing.py  which messages of other nodes are still to come
outbox.py   messages that wait to be sent
"""

from queue_server.store.pulse.pulse import Pulse
from queue_server.store.pulse.source import Look, Message, PulseSource, Signs, Wish, followed_of

__all__ = ["Look", "Message", "Pulse", "PulseSource", "Signs", "Wish", "followed_of"]
