"""Run the models of a deployed router in a thread of their own, so that one that computes keeps no client waiting.

Health, metrics and streams go on in the server's event loop, whatever a model in process is busy with.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from contextlib import aclosing
from typing import Any

from trim.deploy.answering import Answering, ToldStep
from trim.errors import BackendError, RefusedRequest
from trim.models.protocols import Prefix, Score, StepScorer

logger = logging.getLogger(__name__)

STOP_SECONDS = 10.0


class PatientScorer:
    """A PRM that is given up on soon, and left alone for a while: the strong model then answers.

    Parameters
    ----------
    scorer
        The PRM.
    patience
        Seconds that a score may take; None for as long as it takes.
    pause
        Seconds for which a PRM that failed is not asked again.
    clock
        Says what time it is, in seconds.
    """

    def __init__(
        self, scorer: StepScorer, patience: float | None, pause: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.identity = scorer.identity
        self.failures = 0
        self._scorer, self._patience, self._pause, self._clock = scorer, patience, pause, clock
        self._again = float("-inf")

    @property
    def is_up(self) -> bool:
        """Whether it is asked."""
        return self._clock() >= self._again

    async def score(self, prefix: Prefix, step: str) -> Score:
        """Return the probability that the step is right given the prefix."""
        if not self.is_up:
            raise BackendError("the PRM failed a moment ago, and is not asked yet")
        try:
            async with asyncio.timeout(self._patience):
                return await self._scorer.score(prefix, step)
        except RefusedRequest:  # a step that it cannot read says nothing of the PRM
            raise
        except Exception as error:  # whatever it is: without a score the strong model answers
            self.failures += 1
            self._again = self._clock() + self._pause
            late = isinstance(error, TimeoutError) and self._patience is not None
            what = f"no score after {self._patience:g} s" if late else str(error) or type(error).__name__
            logger.warning("the PRM failed, the strong model answers for %g s: %s", self._pause, what)
            raise BackendError(what) from error


class ModelHost:
    """An event loop in a thread, in which problems are solved."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="models", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End what is being solved, close connections to model servers, and end the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        running = asyncio.all_tasks(self._loop)
        for task in running:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*running, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def steps(self, answering: Answering) -> AsyncGenerator[ToldStep, None]:
        """Solve a problem in the thread, and yield its steps in the caller's event loop; closing this ends it."""
        loop, done = asyncio.get_running_loop(), object()
        arrived: asyncio.Queue[Any] = asyncio.Queue()

        async def work() -> None:
            async with aclosing(answering.steps()) as solving:
                async for step in solving:
                    loop.call_soon_threadsafe(arrived.put_nowait, step)

        def ended(future: Future[None]) -> None:
            error = None if future.cancelled() else future.exception()
            loop.call_soon_threadsafe(arrived.put_nowait, error or done)

        future = asyncio.run_coroutine_threadsafe(work(), self._loop)
        future.add_done_callback(ended)
        try:
            while (item := await arrived.get()) is not done:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            if not future.done():
                future.cancel()
