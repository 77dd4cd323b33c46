"""Spreading work over processes. A worker that is killed (out of memory) costs its own cell, not the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harmbench.run.execute import Job, Outcome, execute


def run_jobs(jobs: Sequence[Job], n_jobs: int) -> Iterator[Outcome]:
    """Execute cells and give their outcomes as they end.

    Parameters
    ----------
    jobs : sequence of Job
        Started in this order; put the longest first.
    n_jobs : int
        Worker processes; 1 runs everything in this process.
    """
    if n_jobs == 1 or len(jobs) < 2:
        for job in jobs:
            yield execute(job)
        return
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    finished: set[str] = set()
    try:
        calls = (joblib.delayed(execute)(job) for job in jobs)
        for outcome in joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)(calls):
            finished.add(outcome.key)
            yield outcome
        return
    except TerminatedWorkerError:
        pass
    # Some worker was killed, most likely for memory. Which cell did it is not known: run the rest one at a time.
    for job in jobs:
        if job.cell.key in finished:
            continue
        try:
            yield joblib.Parallel(n_jobs=2, batch_size=1)([joblib.delayed(execute)(job), joblib.delayed(_idle)()])[0]
        except TerminatedWorkerError:
            text = "the worker process was killed, most likely because memory ran out; try -j 1"
            yield Outcome(job.cell.key, job.cell.method.name, "out_of_memory", text)


def _idle() -> None:
    """A second task, so that joblib uses a worker process even for a single cell."""
