"""Targets that never answer keep their slots and nothing else."""

from concurrent.futures import ThreadPoolExecutor

from tests.support.fixtures import Starter
from tests.support.server import Server, timed
from tests.support.target import NEVER, Target
from tests.support.waiting import until

JOBS = 1000


def add_silent(server: Server, url: str, count: int) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: server.add({"type": "http", "url": url, "timeout": 600}), range(count)))


def answer_times(server: Server) -> list[float]:
    asked = ("/healthz", "/jobs/status", "/jobs/status/1", "/v1/jobs?limit=10", "/v1/stats")
    return sorted(timed(server.call, "GET", path)[0] for path in asked * 8)


def test_thousand_silent_targets_leave_the_other_slots_and_the_api_alone(
    make_server: Starter, target: Target, path: str
) -> None:
    server = make_server("--concurrency", "1100", "--shutdown-grace", "0").start()
    before = server.memory_kib()
    add_silent(server, target.on(path, NEVER), JOBS)
    target.wait(path, JOBS, within_s=60)
    assert server.get("/jobs/status")["data"]["working"] == JOBS
    seconds, job = timed(server.run, {"type": "http", "url": target.on(path + "/other")})
    times = answer_times(server)
    grown = (server.memory_kib() - before) // 1024
    print(
        f"{JOBS} silent targets: another job took {seconds * 1000:.0f} ms, API median {times[20] * 1000:.1f} ms, "
        f"worst {times[-1] * 1000:.1f} ms, memory + {grown} MiB"
    )
    assert job["state"] == "completed"
    assert times[20] < 1
    assert grown < 500
    assert server.stop() == 0


def test_silent_targets_in_every_slot_leave_the_api_alone(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--concurrency", "100", "--shutdown-grace", "0").start()
    add_silent(server, target.on(path, NEVER), 300)
    target.wait(path, 100)
    other = server.add({"type": "http", "url": target.on(path + "/other")}, priority=1000)
    assert server.get("/jobs/status")["data"] == {
        "waiting": 201,
        "working": 100,
        "max_threads": 100,
        "free_threads": 0,
    }
    times = answer_times(server)
    print(f"100 slots, all silent: API median {times[20] * 1000:.1f} ms, worst {times[-1] * 1000:.1f} ms")
    assert times[20] < 1
    assert server.job(other)["state"] == "available"
    assert len(target.of(path)) == 100


def test_slots_are_free_again_when_silent_targets_time_out(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--concurrency", "5").start()
    target.on(path, NEVER)
    jobs = [server.add({"type": "http", "url": target.url + path, "timeout": 0.5}) for _ in range(10)]
    assert {server.wait_end(job)["outcome"] for job in jobs} == {"timed_out"}
    assert server.run({"type": "http", "url": target.on(path + "/other")})["state"] == "completed"
    until(lambda: server.get("/jobs/status")["data"]["free_threads"] == 5)
