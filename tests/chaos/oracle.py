"""Decides from outside whether promises were kept: from what the processes wrote that nobody killed, and the database.

I1 every acknowledged job is final, and the target saw it
I2 nothing ran that was not submitted, and one submission is at most one job
I3 a job ran more than once only when a kill struck it while it ran, each time by a higher claim
I4 a job's claims only grow, and nothing follows its final attempt
I5 one callback is owed for each end, and it was delivered
"""

import json
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

FINAL = ("completed", "failed", "cancelled")
KILLER = "its node died three times while it ran"


@dataclass
class Verdict:
    complaints: list[str] = field(default_factory=list)
    accepted: int = 0
    unknown: int = 0
    duplicates: int = 0
    killers: int = 0

    def __str__(self) -> str:
        return (
            f"{self.accepted} accepted, {self.unknown} unknown, {self.duplicates} ran again, "
            f"{self.killers} ended as killers of their node, {len(self.complaints)} complaints"
        )


@dataclass(frozen=True)
class Dump:
    jobs: dict[int, sqlite3.Row]
    attempts: dict[int, list[sqlite3.Row]]
    integrity: str


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def dump(file: Path) -> Dump:
    with closing(sqlite3.connect(file)) as database:
        database.row_factory = sqlite3.Row
        jobs = {row["id"]: row for row in database.execute("select * from job")}
        attempts: defaultdict[int, list[sqlite3.Row]] = defaultdict(list)
        for row in database.execute("select * from attempt order by job_id, claim_seq"):
            attempts[row["job_id"]].append(row)
        (integrity,) = database.execute("pragma integrity_check").fetchone()
    return Dump(jobs, attempts, integrity)


def judge(folder: Path, db: Path, slots: int) -> Verdict:
    """The verdict on one run, after everything has ended."""
    verdict, found = Verdict(), dump(db)
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
    _judge_repeats(runs, found, slots, verdict)
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
    sent = {str(line["n"]) for line in produced if line["what"] == "sent"}
    refused = {str(line["n"]) for line in produced if line["what"] == "refused"}
    jobs_of: defaultdict[str, set[str]] = defaultdict(set)
    for line in ran:
        jobs_of[line["n"]].add(line["job"])
    for number, jobs in jobs_of.items():
        if number not in sent or number in refused:
            verdict.complaints.append(f"I2 number {number} ran and was not submitted, or was refused")
        if len(jobs) > 1:
            verdict.complaints.append(f"I2 number {number} became jobs {sorted(jobs)}")
        if (known := accepted.get(int(number))) and jobs != {str(known)}:
            verdict.complaints.append(f"I2 number {number} was acknowledged as {known} and ran as {sorted(jobs)}")


def _judge_repeats(runs: dict[int, list[dict[str, Any]]], found: Dump, slots: int, verdict: Verdict) -> None:
    complain = verdict.complaints.append
    for job_id, seen in runs.items():
        claims = [int(line["claim"]) for line in seen]
        if any(later <= earlier for earlier, later in pairwise(claims)):
            complain(f"I4 job {job_id} was seen with the claims {claims}")
        losses = sum(attempt["outcome"] == "lease_expired" for attempt in found.attempts.get(job_id, ()))
        verdict.duplicates += len(seen) - 1
        if len(seen) - 1 > losses:
            complain(f"I3 job {job_id} ran {len(seen)} times and was struck {losses} times")
    struck: Counter[int] = Counter()
    for job_id, attempts in found.attempts.items():
        outcomes = [attempt["outcome"] for attempt in attempts]
        struck.update(attempt["node_id"] for attempt in attempts if attempt["outcome"] == "lease_expired")
        if "succeeded" in outcomes[:-1]:
            complain(f"I4 job {job_id} has attempts after its success: {outcomes}")
        if [attempt["claim_seq"] for attempt in attempts] != list(range(1, len(attempts) + 1)):
            complain(f"I4 job {job_id} has the claims {[attempt['claim_seq'] for attempt in attempts]}")
    for node, count in struck.items():
        if count > slots:
            complain(f"I3 {count} jobs were struck at the end of node {node}, which had {slots} slots")


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
