"""No job that SLURM has forgotten is waited for without end, and none is dropped."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import pytest

from trim.slurm import watching


@dataclass
class Job:
    external_jobid: str
    aux: dict[str, Any] = field(default_factory=dict)


class Plugin:
    """Behaves as the SLURM plugin: jobs in no answer count as running; without an answer nothing comes back."""

    def __init__(self, answers: list[dict[str, str] | None]) -> None:
        self.answers = answers
        self.logger = logging.getLogger("plugin")
        self.next_seconds_between_status_checks = 180
        self.reported: list[tuple[str, str]] = []
        self._status_query_calls = 0

    def report_job_success(self, job: Job) -> None:
        self.reported.append((job.external_jobid, "done"))

    def report_job_error(self, job: Job, msg: str) -> None:
        self.reported.append((job.external_jobid, msg))

    async def check_active_jobs(self, active_jobs: list[Job]) -> AsyncGenerator[Job, None]:
        answer = self.answers.pop(0) if self.answers else {}
        if answer is None:
            return
        self._status_query_calls += 1
        for job in active_jobs:
            if answer.get(job.external_jobid) == "COMPLETED":
                self.report_job_success(job)
            else:
                yield job


def look(plugin: Plugin, jobs: list[Job], states: dict[str, str] | None, age: int | None = 300) -> list[str]:
    """Look once at jobs; `states` is what squeue says when it is asked beside the plugin."""

    async def ask(executor: Any) -> dict[str, str] | None:
        return states

    check = watching(Plugin.check_active_jobs, ask, lambda: age)

    async def main() -> list[str]:
        return [job.external_jobid async for job in check(plugin, jobs)]

    return asyncio.run(main())


def test_a_job_that_slurm_has_forgotten_ends_in_a_sentence() -> None:
    plugin, jobs = Plugin([]), [Job("7"), Job("8")]
    assert [look(plugin, jobs, {"8": "RUNNING"}) for _ in range(3)] == [["7", "8"], ["7", "8"], ["8"]]
    ((id, sentence),) = plugin.reported
    assert id == "7"
    assert "SLURM knows no job 7 any more" in sentence
    assert "MinJobAge seconds (300 here)" in sentence


def test_a_job_that_is_seen_again_is_waited_for() -> None:
    plugin, jobs = Plugin([]), [Job("7")]
    for states in ({}, {}, {"7": "PENDING"}, {}, {}, None, {}, {}):
        assert look(plugin, jobs, states) == ["7"]
    assert plugin.reported == []


def test_a_task_of_an_array_is_known_by_the_array_while_it_waits() -> None:
    plugin, jobs = Plugin([]), [Job("7_2"), Job("9_1")]
    for _ in range(3):
        kept = look(plugin, jobs, {"7_[1-5]": "PENDING", "9_2": "RUNNING"})
    assert kept == ["7_2"]
    assert [id for id, _ in plugin.reported] == ["9_1"]


@pytest.mark.parametrize("states", [None, {"7": "RUNNING"}])
def test_jobs_are_kept_where_slurm_does_not_answer(states: dict[str, str] | None) -> None:
    plugin = Plugin([None] * 5)
    assert [look(plugin, [Job("7")], states) for _ in range(5)] == [["7"]] * 5
    assert plugin.reported == []


def test_the_queue_tells_how_jobs_ended_where_there_are_no_accounts() -> None:
    plugin = Plugin([None])
    assert look(plugin, [Job("7"), Job("8"), Job("9")], {"7": "COMPLETED", "8": "TIMEOUT", "9": "RUNNING"}) == ["9"]
    assert plugin.reported == [("7", "done"), ("8", "SLURM job 8 ended as TIMEOUT. ")]


def test_what_the_plugin_reports_is_left_to_it() -> None:
    plugin = Plugin([{"7": "COMPLETED", "8": "RUNNING"}])
    assert look(plugin, [Job("7"), Job("8")], {"7": "COMPLETED", "8": "RUNNING"}) == ["8"]
    assert plugin.reported == [("7", "done")]


@pytest.mark.parametrize(("age", "pause"), [(300, 150), (60, 30), (1, 1), (0, 180), (None, 180), (3600, 180)])
def test_jobs_are_looked_at_before_they_are_forgotten(age: int | None, pause: int) -> None:
    plugin = Plugin([])
    look(plugin, [Job("7")], {"7": "RUNNING"}, age)
    assert plugin.next_seconds_between_status_checks == pause
