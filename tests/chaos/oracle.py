"""Decides from outside whether promises were kept: from what the processes wrote that nobody killed, and the database.

I1 every acknowledged job is final, and the target saw it
I2 nothing ran that was not submitted, and one submission is at most one job
I3 a job ran more than once only when a fault struck it while it ran, each time by a higher claim, and a fault strikes
   at most the slots of a node
I4 a job's claims only grow, and nothing follows its final attempt
I5 one callback is owed for each end, and it was delivered
I6 how long the jobs of a struck node waited for their next claim is told
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from tests.chaos.dump import Dump, Row

FINAL = ("completed", "failed", "cancelled")
KILLER = "its node died three times while it ran"
STRUCK = ("lease_expired", "interrupted")
"""The outcomes of attempts that a fault ended: seen by others, or by the node itself."""
SUBMITTED = ("accepted", "unknown", "refused")
"""What may have become of a number that reached a server."""


EVERY_NODE = ""


class Fault(NamedTuple):
    """What struck a node (or every node, where it struck the database), in µs on the clock of the jobs."""

    node: str
    at: int

    def strikes(self, node: Row, attempt: Row) -> bool:
        return self.node in (EVERY_NODE, node["name"]) and attempt["started_at"] <= self.at <= attempt["ended_at"]


@dataclass
class Verdict:
    complaints: list[str] = field(default_factory=list)
    accepted: int = 0
    unknown: int = 0
    duplicates: int = 0
    killers: int = 0
    reclaimed_s: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        text = (
            f"{self.accepted} accepted, {self.unknown} unknown, {self.duplicates} ran again, "
            f"{self.killers} ended as killers of their node, {len(self.complaints)} complaints"
        )
        if not self.reclaimed_s:
            return text
        waits = [f"{share(self.reclaimed_s, percent):.1f} s (p{percent})" for percent in (50, 99)]
        return f"{text}; {len(self.reclaimed_s)} claimed again after {', '.join(waits)}"


def share(values: Sequence[float], percent: int) -> float:
    """A percentile."""
    return sorted(values)[min(len(values) * percent // 100, len(values) - 1)]


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def judge(folder: Path, found: Dump, slots: int, faults: Sequence[Fault] | None = None) -> Verdict:
    """The verdict on one run, after everything has ended. With `faults`, those of nodes that share a database."""
    verdict = Verdict()
    produced, ran, called = (lines(folder / name) for name in ("producer", "target", "callback"))
    accepted = {line["n"]: line["id"] for line in produced if line["what"] == "accepted"}
    verdict.accepted = len(accepted)
    verdict.unknown = sum(line["what"] == "unknown" for line in produced)
    complain = verdict.complaints.append
    if found.integrity != "ok":
        complain(f"integrity: {found.integrity}")
    runs, calls = _by_job(ran), _by_job(called)
    _judge_accepted(accepted, found, runs, verdict)
    _judge_submissions(produced, accepted, ran, verdict)
    _judge_repeats(runs, found, verdict)
    if faults is None:
        _judge_strikes(found, lambda _: slots, verdict)
    else:
        _judge_faults(found, faults, slots, verdict)
    _judge_callbacks(found, calls, verdict)
    return verdict


def _by_job(log: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    seen: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for line in log:
        seen[int(line["job"])].append(line)
    return seen


def _judge_accepted(accepted: dict[int, int], found: Dump, runs: dict[int, Any], verdict: Verdict) -> None:
    complain = verdict.complaints.append
    if len(set(accepted.values())) != len(accepted):
        complain("I1 an id was given twice")
    for number, job_id in accepted.items():
        job = found.jobs.get(job_id)
        if job is None:
            complain(f"I1 job {job_id} was acknowledged and is gone")
        elif job["state"] not in FINAL:
            complain(f"I1 job {job_id} was acknowledged and is {job['state']}")
        elif job["reason"] == KILLER:
            verdict.killers += 1
        elif job["state"] != "completed":
            complain(f"I1 job {job_id} is {job['state']}: {job['reason']}")
        elif not runs.get(job_id):
            complain(f"I1 job {job_id} is completed and never ran")
        elif {line["n"] for line in runs[job_id]} != {str(number)}:
            complain(f"I1 job {job_id} is not what was sent as number {number}")


def _judge_submissions(
    produced: list[dict[str, Any]], accepted: dict[int, int], ran: list[dict[str, Any]], verdict: Verdict
) -> None:
    known_as = {what: {str(line["n"]) for line in produced if line["what"] == what} for what in SUBMITTED}
    submitted = set().union(*known_as.values())
    for number in known_as["refused"]:
        verdict.complaints.append(f"I1 number {number} was refused")
    jobs_of: defaultdict[str, set[str]] = defaultdict(set)
    for line in ran:
        jobs_of[line["n"]].add(line["job"])
    for number, jobs in jobs_of.items():
        if number not in submitted:
            verdict.complaints.append(f"I2 number {number} ran and was not submitted")
        if len(jobs) > 1:
            verdict.complaints.append(f"I2 number {number} became jobs {sorted(jobs)}")
        if (known := accepted.get(int(number))) and jobs != {str(known)}:
            verdict.complaints.append(f"I2 number {number} was acknowledged as {known} and ran as {sorted(jobs)}")


def _judge_repeats(runs: dict[int, list[dict[str, Any]]], found: Dump, verdict: Verdict) -> None:
    complain = verdict.complaints.append
    for job_id, seen in runs.items():
        claims = [int(line["claim"]) for line in seen]
        if any(later <= earlier for earlier, later in pairwise(claims)):
            complain(f"I4 job {job_id} was seen with the claims {claims}")
        losses = sum(attempt["outcome"] in STRUCK for attempt in found.attempts.get(job_id, ()))
        verdict.duplicates += len(seen) - 1
        if len(seen) - 1 > losses:
            complain(f"I3 job {job_id} ran {len(seen)} times and was struck {losses} times")
    for job_id, attempts in found.attempts.items():
        outcomes = [attempt["outcome"] for attempt in attempts]
        if "succeeded" in outcomes[:-1]:
            complain(f"I4 job {job_id} has attempts after its success: {outcomes}")
        if [attempt["claim_seq"] for attempt in attempts] != list(range(1, len(attempts) + 1)):
            complain(f"I4 job {job_id} has the claims {[attempt['claim_seq'] for attempt in attempts]}")


def _judge_strikes(found: Dump, bound: Callable[[int], int], verdict: Verdict) -> None:
    """No node lost more jobs than it had slots, for each fault that struck it."""
    struck = Counter(attempt["node_id"] for attempt in _struck(found))
    for node, count in struck.items():
        if count > bound(node):
            verdict.complaints.append(f"I3 {count} jobs of node {node} were struck, which could be {bound(node)}")


def _judge_faults(found: Dump, faults: Sequence[Fault], slots: int, verdict: Verdict) -> None:
    """Nodes that share a database lose jobs by faults only, and these are soon claimed again."""

    def bound(node_id: int) -> int:
        return slots * sum(fault.node in (EVERY_NODE, _node(found, node_id)["name"]) for fault in faults)

    _judge_strikes(found, bound, verdict)
    for attempt in _struck(found):
        node = _node(found, attempt["node_id"])
        struck = [fault for fault in faults if fault.strikes(node, attempt)]
        if not struck:
            where = f"job {attempt['job_id']} was taken from node {node['id']} ({node['name']})"
            verdict.complaints.append(f"I3 {where}, which nothing had struck")
        elif again := _claim_after(attempt, found):
            verdict.reclaimed_s.append((again["started_at"] - _ended_by(struck).at) / 1_000_000)


def _ended_by(struck: Sequence[Fault]) -> Fault:
    """Which of the faults in its time ended an attempt: the node's own first one; else the database's last one."""
    return next((fault for fault in struck if fault.node), struck[-1])


def _node(found: Dump, node_id: int) -> Row:
    """A node. One that has stopped in good order is forgotten: no fault has struck it alone."""
    return found.nodes.get(node_id, {"id": node_id, "name": "stopped"})


def _struck(found: Dump) -> list[Row]:
    return [attempt for rows in found.attempts.values() for attempt in rows if attempt["outcome"] in STRUCK]


def _claim_after(attempt: Row, found: Dump) -> Row | None:
    later = [row for row in found.attempts[attempt["job_id"]] if row["claim_seq"] > attempt["claim_seq"]]
    return later[0] if later else None


def _judge_callbacks(found: Dump, calls: dict[int, Any], verdict: Verdict) -> None:
    owed = Counter(job["parent_id"] for job in found.jobs.values() if job["parent_id"] is not None)
    for job_id, job in found.jobs.items():
        if job["parent_id"] is not None:
            if job["state"] not in FINAL:
                verdict.complaints.append(f"I5 callback {job_id} of job {job['parent_id']} is {job['state']}")
            continue
        if owed[job_id] != 1:
            verdict.complaints.append(f"I5 job {job_id} ({job['state']}) has {owed[job_id]} callbacks")
        elif not calls.get(job_id):
            verdict.complaints.append(f"I5 the callback of job {job_id} never arrived")
