"""What a token is bound to: whose jobs it adds, finds and changes, and which commands it may give them.

A job that an access does not see is not there for it: it is found by nobody's id, listed nowhere, and counted never.
"""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import UNSET, Raw, UnsetType

from queue_server.domain.access import Access, Right
from queue_server.domain.command import ExecCommand
from queue_server.domain.composing import Defaults
from queue_server.domain.errors import NotAllowed
from queue_server.domain.job import COMMAND_MEMBERS, JobRecord, JobRequest
from queue_server.domain.wishes import Answer, Revision
from queue_server.store.contract import JobFilter, Rule

NAMES_SHOWN = 10
CALLBACKS = ("callback_done", "callback_failed")

Binding = frozenset[str] | None


class _Typed(msgspec.Struct):
    type: str | UnsetType = UNSET


class Admission(msgspec.Struct, frozen=True):
    """What an access may add. `defaults` have the context and the queue of its jobs that name none."""

    access: Access
    defaults: Defaults
    may_add_commands: bool

    def check(self, request: JobRequest) -> None:
        """NotAllowed, with the member, where the access may not add this. On the hot path."""
        access, defaults = self.access, self.defaults
        if not self.may_add_commands:
            if type(request.command) is ExecCommand:
                raise _no_commands(access, "/command")
            if type(request.callback_done) is ExecCommand:
                raise _no_commands(access, "/callback_done")
            if type(request.callback_failed) is ExecCommand:
                raise _no_commands(access, "/callback_failed")
        if access.contexts is not None:
            context = defaults.context if request.context is UNSET else request.context
            if context not in access.contexts:
                raise _out_of_binding(access, "context", access.contexts)
        if access.queues is not None:
            queue = defaults.queue if request.queue is UNSET else request.queue
            if queue not in access.queues:
                raise _out_of_binding(access, "queue", access.queues)


def admission(access: Access, defaults: Defaults) -> Admission:
    """What the access may add on a server with these defaults. One that is bound to one context adds to that."""
    own = msgspec.structs.replace(
        defaults, context=_only(access.contexts, defaults.context), queue=_only(access.queues, defaults.queue)
    )
    return Admission(access, own, access.may(Right.ADD_EXEC))


def bound(rule: Rule, access: Access) -> Rule:
    """The rule for the jobs that the access sees. All others stay as they are.

    NotAllowed, with the member, where it would move a job out of what the access sees, give it a command of type exec
    that the access may not add, or have an output sent that the access may not read.
    """

    def bound_rule(record: JobRecord) -> Answer:
        if not access.sees(record.context, record.queue):
            return None
        answer = rule(record)
        if isinstance(answer, Revision):
            _check_revision(record, answer, access)
        return answer

    return bound_rule


def check_changes(changes: Mapping[str, Raw], access: Access, defaults: Defaults) -> None:
    """NotAllowed where these changes, a merge patch, are allowed for no job. `bound` knows what depends on the job."""
    for name, binding, default in (
        ("context", access.contexts, defaults.context),
        ("queue", access.queues, defaults.queue),
    ):
        if binding is not None and name in changes:
            value = _text_in(changes[name], default)
            if value is not None and value not in binding:
                raise _out_of_binding(access, name, binding, root="/changes")
    if Right.ADD_EXEC not in access.scopes:
        for name in COMMAND_MEMBERS:
            if name in changes and _type_in(changes[name]) == "exec":
                raise _no_commands(access, f"/changes/{name}")
    if not access.may(Right.READ_OUTPUT):
        for name in CALLBACKS:
            if name in changes and bytes(changes[name]).lstrip().startswith(b"{"):
                raise _no_callback(access, f"/changes/{name}")


def within(wanted: JobFilter, access: Access) -> JobFilter:
    """The filter for those of its jobs that the access sees.

    A binding to one context, or one that the filter names anyway, becomes the filter's own: it has an index.
    """
    if not access.is_bound:
        return wanted
    context, contexts = _narrowed(wanted.context, wanted.contexts, access.contexts)
    queue, queues = _narrowed(wanted.queue, wanted.queues, access.queues)
    return msgspec.structs.replace(wanted, context=context, contexts=contexts, queue=queue, queues=queues)


def encloses(access: Access, wanted: JobFilter) -> bool:
    """Whether the filter is for jobs only that the access sees."""
    return _is_within(access.contexts, wanted.contexts, wanted.context) and _is_within(
        access.queues, wanted.queues, wanted.queue
    )


def _only(binding: Binding, default: str) -> str:
    return next(iter(binding)) if binding is not None and len(binding) == 1 else default


def _check_revision(record: JobRecord, change: Revision, access: Access) -> None:
    if access.contexts is not None and change.context not in access.contexts:
        raise _out_of_binding(access, "context", access.contexts)
    if access.queues is not None and change.queue not in access.queues:
        raise _out_of_binding(access, "queue", access.queues)
    if not access.may(Right.ADD_EXEC):
        before, after = record.plan, change.plan
        for name, command in after.commands.items():
            is_changed = command != before.commands[name] or after.secrets_in(name) != before.secrets_in(name)
            if is_changed and isinstance(command, ExecCommand):
                raise _no_commands(access, f"/{name}")
    if not access.may(Right.READ_OUTPUT):
        for name in COMMAND_MEMBERS if record.plan.report is not None else CALLBACKS:
            command = change.plan.commands[name]
            if command is not None and command != record.plan.commands[name]:
                raise _no_callback(access, f"/{name}")


def _no_commands(access: Access, path: str) -> NotAllowed:
    return NotAllowed(path, f"the token {access.name} does not have the scope {Right.ADD_EXEC}, which commands need")


def _no_callback(access: Access, path: str) -> NotAllowed:
    why = "which changing a callback needs: it carries an output"
    return NotAllowed(path, f"the token {access.name} does not have the scope {Right.READ_OUTPUT}, {why}")


def _out_of_binding(access: Access, member: str, binding: Iterable[str], *, root: str = "") -> NotAllowed:
    names = sorted(binding)
    shown = ", ".join(map(repr, names[:NAMES_SHOWN]))
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    what = f"the {member} {shown}" if len(names) == 1 else f"the {member}s {shown}{more}; name one of them"
    return NotAllowed(f"{root}/{member}", f"the token {access.name} is bound to {what}")


def _text_in(raw: Raw, default: str) -> str | None:
    """The text that a patch sets, the default where it removes the member; None where it is no text at all."""
    try:
        text = msgspec.json.decode(raw, type=str | None)
    except msgspec.MsgspecError:
        return None
    return default if text is None else text


def _type_in(raw: Raw) -> str | UnsetType:
    try:
        return msgspec.json.decode(raw, type=_Typed).type
    except msgspec.MsgspecError:
        return UNSET


def _narrowed(
    named: str | None, values: tuple[str, ...] | None, binding: Binding
) -> tuple[str | None, tuple[str, ...] | None]:
    """The value and the values that a filter has, which names one or none and is for some or for all."""
    if binding is None:
        return named, values
    left = binding if values is None else binding.intersection(values)
    if named in left:
        return named, None
    if named is None and len(left) == 1:
        return next(iter(left)), None
    return named, tuple(sorted(left))


def _is_within(binding: Binding, values: Iterable[str] | None, value: str | None) -> bool:
    if binding is None:
        return True
    if values is None:
        return value in binding
    return binding.issuperset(values)
