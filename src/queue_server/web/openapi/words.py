"""A sentence for each member that a client writes, for its documentation. A test holds that none is left out."""

from collections.abc import Mapping

_TIMEOUT = "Seconds for an attempt."

_RETRY = {
    "max_attempts": "How often it is tried in all.",
    "backoff": "How the wait before the next attempt grows.",
    "min_delay": "Seconds before the second attempt.",
    "max_delay": "Seconds that a wait has at most.",
    "jitter": "How much waits are spread: 0.2 is 80 % to 120 %.",
    "retry_on": "The statuses or exit codes after which it is tried again; after all unless given.",
    "max_duration": "Seconds since its first attempt started after which it is not tried again.",
}

WORDS: Mapping[str, str] = {
    "JobRequest": "A job. Only `command` is required.",
    "JobRequest/command": "What to run.",
    "JobRequest/priority": "Higher runs earlier; 500 unless the setting `default_priority` says otherwise.",
    "JobRequest/context": "Your label, such as the application's name; for filters and statistics.",
    "JobRequest/callback_done": "Runs when the job has ended, also when it failed.",
    "JobRequest/callback_failed": "Runs instead of `callback_done` when the job failed.",
    "JobRequest/delay": "Seconds until it may run. Not together with `run_at`.",
    "JobRequest/run_at": "When it may run. Not together with `delay`.",
    "JobRequest/retry": "Whether and when it is tried again after a failure; by default it is not.",
    "JobRequest/queue": "The lane that it waits in; `default` if none is named.",
    "JobRequest/key": "A free text, such as a tenant's name.",
    "JobRequest/ttl": "Seconds within which it has to start, else it fails. Not together with `expires_at`.",
    "JobRequest/expires_at": "By when it has to start, else it fails. Not together with `ttl`.",
    "JobRequest/deadline": "Seconds, or a time, by which all its attempts have to be over.",
    "JobRequest/retention": "Seconds that it is kept once it has ended, instead of the setting for its state.",
    "JobRequest/tags": "Names and values of your own; lists can be filtered by them.",
    "JobRequest/idempotency_key": "Sent again with the same key, the job is not added twice; as the header "
    "`Idempotency-Key`.",
    "HttpCommand/type": "An HTTP request.",
    "HttpCommand/url": "Where it goes: `http://` or `https://` and a host. Placeholders (`__JOBID__`) are replaced.",
    "HttpCommand/method": "GET, or POST when there is a body, unless it is named.",
    "HttpCommand/timeout": _TIMEOUT + " The setting `http_timeout` unless given.",
    "HttpCommand/params": "With GET, HEAD and DELETE added to the query, else sent as a form.",
    "HttpCommand/headers": "Headers to send along; those that frame the message can't be given.",
    "HttpCommand/json": "A JSON body: any value, sent byte for byte as it is written here.",
    "HttpCommand/body": "A body as text.",
    "HttpCommand/body_base64": "A body as bytes.",
    "HttpCommand/expect": "Statuses that mean success; 200-299 unless given. Redirects are not followed.",
    "ExecCommand/type": "A command on the server; the setting `exec` has to allow it.",
    "ExecCommand/cmd": "A line for `/bin/sh -c`. Either this or `args`.",
    "ExecCommand/args": "A program and its arguments, run without a shell. Either this or `cmd`.",
    "ExecCommand/cwd": "The folder that it runs in, as an absolute path.",
    "ExecCommand/env": "Variables that are added to a clean environment.",
    "ExecCommand/stdin": "Text for its standard input.",
    "ExecCommand/timeout": _TIMEOUT + " The setting `exec_timeout` unless given.",
    "ExecCommand/expect": "Exit codes that mean success; 0 unless given.",
    "Unreadable/type": "A command that this version can't read.",
    "Unreadable/reason": "Why not.",
    **{f"{name}/{member}": sentence for name in ("Retry", "RetryWish") for member, sentence in _RETRY.items()},
}
