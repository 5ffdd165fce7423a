"""What Snakemake's SLURM plugin waits for without end: jobs that the queue has forgotten, and a queue that is silent.

SLURM keeps a finished job in its books for MinJobAge seconds. The plugin (2.8) asks ever more seldom, at last every
180 s; a job that it finds in no answer counts as waiting, and where no answer comes it drops the jobs it asked for.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

LOOKS = 3  # so often in a row SLURM must not know a job
FAILED = {"BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT", "ERROR"}
FORGOTTEN = (
    "SLURM knows no job {id} any more, so how it ended cannot be told. A finished job is kept for MinJobAge seconds "
    "({age} here): have the cluster keep it longer, or keep accounts and set slurm-status-command: sacct. "
)
States = dict[str, str]
AskStates = Callable[[Any], Awaitable[States | None]]
AskAge = Callable[[], int | None]


def end_forgotten_jobs() -> None:
    """Have the SLURM plugin, where it is loaded, report jobs that SLURM has forgotten as failed."""
    plugin = sys.modules.get("snakemake_executor_plugin_slurm")
    if plugin is not None and not hasattr(plugin.Executor.check_active_jobs, "__wrapped__"):
        from snakemake_executor_plugin_slurm.job_status_query import get_min_job_age

        plugin.Executor.check_active_jobs = watching(plugin.Executor.check_active_jobs, _ask_queue, get_min_job_age)


async def _ask_queue(executor: Any) -> States | None:
    """Return the state of each job of this run that `squeue` knows; None where it does not answer."""
    from snakemake_executor_plugin_slurm.job_status_query import query_job_status, query_job_status_squeue

    states: States | None
    states, _ = await query_job_status(query_job_status_squeue(executor.run_uuid), executor.logger)
    return states


def watching(
    check: Callable[[Any, list[Any]], AsyncGenerator[Any, None]], ask_states: AskStates, ask_age: AskAge
) -> Callable[[Any, list[Any]], AsyncGenerator[Any, None]]:
    """Return the plugin's look at its jobs with nothing left out.

    Parameters
    ----------
    check
        The plugin's own: yields the jobs that still run, and reports those that ended.
    ask_states, ask_age
        Ask `squeue` for the states of jobs, and SLURM for its MinJobAge.
    """

    @functools.wraps(check)
    async def check_active_jobs(self: Any, active_jobs: list[Any]) -> AsyncGenerator[Any, None]:
        answers = self._status_query_calls
        running = [job async for job in check(self, active_jobs)]
        answered = self._status_query_calls > answers
        states = await ask_states(self) if active_jobs else {}
        age = ask_age()
        for job in running if answered else active_jobs:
            state = None if states is None else _state(states, job.external_jobid)
            job.aux["unseen"] = job.aux.get("unseen", 0) + 1 if states is not None and state is None else 0
            if job.aux["unseen"] >= LOOKS:
                self.report_job_error(job, msg=FORGOTTEN.format(id=job.external_jobid, age=age))
            elif not answered and state == "COMPLETED":
                self.report_job_success(job)
            elif not answered and state in FAILED:
                self.report_job_error(job, msg=f"SLURM job {job.external_jobid} ended as {state}. ")
            else:
                yield job
        if states is None:
            self.logger.warning("squeue does not answer; the jobs are asked for again.")
        if age:  # a job is forgotten in no time where the pause is longer
            self.next_seconds_between_status_checks = min(self.next_seconds_between_status_checks, max(age // 2, 1))

    return check_active_jobs


def _state(states: States, job: str) -> str | None:
    """Return the state of a job; a task of an array that waits stands under the array's own number."""
    array = job.partition("_")[0]
    return states.get(job) or next((state for id, state in states.items() if id.startswith(f"{array}_[")), None)
