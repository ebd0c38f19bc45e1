"""Every request of the API, and how its answer is read. One function for each."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from queue_server.client.address import is_header_text
from queue_server.client.composing import encode
from queue_server.client.exchange import Call, Request, Silence
from queue_server.client.reading import content, no_content, reads, reads_page
from queue_server.client.results import (
    Act,
    Added,
    Attempt,
    Explanation,
    Heartbeat,
    Job,
    KeptSecret,
    Matched,
    NewSecret,
    Operation,
    Page,
    Rekeyed,
    Stats,
)

JSON = "application/json"
NDJSON = "application/x-ndjson"
MERGE_PATCH = "application/merge-patch+json"


def add(job: bytes, key: str | None) -> Call[Job]:
    """Add a job. The key makes it the same one if it is sent again; None for a job that has its own."""
    return Call(_post("/v1/jobs", job, is_repeatable=True, headers=_key(key)), reads(Job))


def add_batch(jobs: Iterable[bytes], key: str) -> Call[Added]:
    """Add all of these jobs, or none."""
    headers = {**_key(key), "Content-Type": NDJSON}
    return Call(_post("/v1/jobs/batch", b"\n".join(jobs) + b"\n", is_repeatable=True, headers=headers), reads(Added))


def jobs(query: Mapping[str, Any]) -> Call[Page[Job]]:
    """A page of the list of jobs."""
    return Call(_get("/v1/jobs", query), reads_page(Job))


def job(job_id: int, wait: float | None = None) -> Call[Job]:
    """The job; with `wait`, when it is final or so many seconds later."""
    return Call(_get(f"/v1/jobs/{job_id}", {"wait": wait}, subject=f"job {job_id}", silence=_while(wait)), reads(Job))


def update(job_id: int, patch: Mapping[str, Any]) -> Call[Job]:
    """Change a waiting job by a JSON merge patch."""
    options = {"subject": f"job {job_id}", "is_repeatable": True, "headers": {"Content-Type": MERGE_PATCH}}
    return Call(_request("PATCH", f"/v1/jobs/{job_id}", encode(patch), **options), reads(Job))


def delete(job_id: int) -> Call[None]:
    """Delete a final job."""
    return Call(_request("DELETE", f"/v1/jobs/{job_id}", subject=f"job {job_id}"), no_content)


def cancel(job_id: int, reason: str | None = None, wait: float | None = None) -> Call[Job]:
    """Cancel a job."""
    action = _with_query("cancel", {"wait": wait})
    return _change(job_id, action, _given(reason=reason), is_repeatable=True, silence=_while(wait))


def retry(job_id: int, patch: Mapping[str, Any] | None = None) -> Call[Job]:
    """Let a final job run again, changed by a JSON merge patch."""
    return _change(job_id, "retry", patch or {})


def run(job_id: int) -> Call[Job]:
    """Make a scheduled job due now."""
    return _change(job_id, "run", {}, is_repeatable=True)


def attempts(job_id: int) -> Call[Page[Attempt]]:
    """The ended attempts of a job."""
    return Call(_get(f"/v1/jobs/{job_id}/attempts", {}, subject=f"job {job_id}"), reads_page(Attempt))


def explain(job_id: int) -> Call[Explanation]:
    """Why the job is where it is."""
    return Call(_get(f"/v1/jobs/{job_id}/explain", {}, subject=f"job {job_id}"), reads(Explanation))


def output(job_id: int, stream: str, attempt: int | None, span: str | None) -> Call[bytes]:
    """What an attempt printed or was answered; `span` is a Range in bytes."""
    query = {"stream": stream, "attempt": attempt}
    headers = {"Range": f"bytes={span}"} if span else {}
    subject = f"job {job_id}" if attempt is None else f"ended attempt {attempt} of job {job_id}"
    return Call(_get(f"/v1/jobs/{job_id}/output", query, subject=subject, headers=headers), content)


def follow(job_id: int, stream: str, attempt: int | None) -> Request:
    """The output of an attempt while it is written, from its start."""
    query = {"stream": stream, "attempt": attempt, "follow": 1}
    return _get(f"/v1/jobs/{job_id}/output", query, silence=Silence.ENDLESS)


def events(job_id: int | None, query: Mapping[str, Any], last_event_id: str) -> Request:
    """The stream of events, of one job or of all."""
    path = "/v1/events" if job_id is None else f"/v1/jobs/{job_id}/events"
    last = {"Last-Event-ID": _header("last_event_id", last_event_id)} if last_event_id else {}
    headers = {"Accept": "text/event-stream", **last}
    subject = "" if job_id is None else f"job {job_id}"
    return _get(path, query, headers=headers, subject=subject, silence=Silence.HELD)


def heartbeat(job_id: int, claim: int, timeout: float | None, message: str | None) -> Call[Heartbeat]:
    """A sign of life from work that goes on past its request."""
    body = _given(timeout=timeout, message=message)
    return Call(_post(_attempt(job_id, claim, "heartbeat"), encode(body), is_repeatable=True), reads(Heartbeat))


def complete(job_id: int, claim: int, result: Mapping[str, Any]) -> Call[Job]:
    """The success of work that went on past its request."""
    return Call(_post(_attempt(job_id, claim, "complete"), encode(_given(**result)), is_repeatable=True), reads(Job))


def fail(job_id: int, claim: int, result: Mapping[str, Any]) -> Call[Job]:
    """The failure of work that went on past its request."""
    return Call(_post(_attempt(job_id, claim, "fail"), encode(_given(**result)), is_repeatable=True), reads(Job))


def change_jobs(action: str, body: Mapping[str, Any]) -> Call[Matched]:
    """Cancel, retry or delete all jobs that a filter matches."""
    return Call(_post(f"/v1/jobs:{action}", encode(body)), reads(Matched))


def operations(query: Mapping[str, Any]) -> Call[Page[Operation]]:
    """A page of the list of operations."""
    return Call(_get("/v1/operations", query), reads_page(Operation))


def audit(query: Mapping[str, Any]) -> Call[Page[Act]]:
    """A page of the audit log."""
    return Call(_get("/v1/audit", query), reads_page(Act))


def operation(operation_id: int, wait: float | None = None) -> Call[Operation]:
    """The operation; with `wait`, when it has ended or so many seconds later."""
    path, subject = f"/v1/operations/{operation_id}", f"operation {operation_id}"
    return Call(_get(path, {"wait": wait}, subject=subject, silence=_while(wait)), reads(Operation))


def cancel_operation(operation_id: int) -> Call[Operation]:
    """Stop an operation where it is."""
    path, subject = f"/v1/operations/{operation_id}/cancel", f"operation {operation_id}"
    return Call(_post(path, b"{}", subject=subject, is_repeatable=True), reads(Operation))


def secrets() -> Call[Page[KeptSecret]]:
    """The kept secrets."""
    return Call(_get("/v1/secrets", {}), reads_page(KeptSecret))


def put_secret(name: str, value: str, kind: str) -> Call[KeptSecret]:
    """Keep a secret."""
    body = encode({"value": value, "kind": kind})
    path = f"/v1/secrets/{quote(name, safe='')}"
    return Call(_request("PUT", path, body, is_repeatable=True, headers={"Content-Type": JSON}), reads(KeptSecret))


def delete_secret(name: str) -> Call[None]:
    """Forget a secret."""
    return Call(_request("DELETE", f"/v1/secrets/{quote(name, safe='')}", subject=f"secret {name}"), no_content)


def create_signing_secret(name: str) -> Call[NewSecret]:
    """Make a signing secret."""
    return Call(_post("/v1/secrets", encode({"name": name})), reads(NewSecret))


def rotate_signing_secret(name: str, overlap: float | None) -> Call[NewSecret]:
    """Make a new signing secret beside the one that is there."""
    body = encode(_given(overlap=overlap))
    path = f"/v1/secrets/{quote(name, safe='')}/rotate"
    return Call(_post(path, body, subject=f"signing secret {name}"), reads(NewSecret))


def rekey_secrets() -> Call[Rekeyed]:
    """Seal all kept secrets anew."""
    return Call(_post("/v1/secrets:rekey", None, is_repeatable=True), reads(Rekeyed))


def stats() -> Call[Stats]:
    """Jobs by state, and the slots."""
    return Call(_get("/v1/stats", {}), reads(Stats))


def openapi() -> Call[bytes]:
    """The description of the API."""
    return Call(_get("/v1/openapi.json", {}), content)


def _key(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Idempotency-Key": _header("idempotency_key", key)}


def _header(name: str, text: str) -> str:
    if not is_header_text(text):
        raise ValueError(f"{name} must be visible ASCII, as a header carries it; not {text!r}")
    return text


def _change(job_id: int, action: str, body: Mapping[str, Any], **options: Any) -> Call[Job]:
    content = encode(body) if body else None
    return Call(_post(f"/v1/jobs/{job_id}/{action}", content, subject=f"job {job_id}", **options), reads(Job))


def _while(wait: float | None) -> Silence:
    return Silence.HELD if wait else Silence.SHORT


def _get(path: str, query: Mapping[str, Any], **options: Any) -> Request:
    return _request("GET", _with_query(path, query), is_repeatable=True, **options)


def _post(path: str, body: bytes | None, *, headers: Mapping[str, str] | None = None, **options: Any) -> Request:
    return _request("POST", path, body, headers={"Content-Type": JSON, **(headers or {})}, **options)


def _request(method: str, path: str, body: bytes | None = None, **options: Any) -> Request:
    return Request(method=method, path=path, body=body, **options)


def _attempt(job_id: int, claim: int, report: str) -> str:
    return f"/v1/jobs/{job_id}/attempts/{claim}/{report}"


def _with_query(path: str, query: Mapping[str, Any]) -> str:
    members = _given(**query)
    return f"{path}?{urlencode(members)}" if members else path


def _given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
