"""What a server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from trim.deploy.answering import Answering, ToldStep

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
TOKENS = {
    "strong": "strong_tokens",
    "weak": "weak_tokens",
    "discarded": "discarded_tokens",
    "prm": "prm_tokens",
    "strong_input": "strong_input_tokens",
    "weak_input": "weak_input_tokens",
}
"""Counts of an episode by what they are called here."""


class Metrics:
    """The counters of one server.

    Parameters
    ----------
    prm_is_up
        Tells whether the PRM is asked.
    """

    def __init__(self, prm_is_up: Callable[[], bool]) -> None:
        self.registry = CollectorRegistry()
        room: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter("trim_requests", "Requests by model and how they ended.", ["model", "outcome"], **room)
        self.tokens = Counter("trim_tokens", "Tokens by what they were spent on.", ["kind"], **room)
        self.steps = Counter("trim_steps", "Kept steps by author and reason.", ["author", "reason"], **room)
        self.prm_down = Counter("trim_prm_down_steps", "Steps that the strong model wrote for want of a score.", **room)
        self.seconds = Histogram("trim_request_seconds", "Seconds a request took.", buckets=SECONDS, **room)
        self.first = Histogram("trim_first_step_seconds", "Seconds to the first step.", buckets=SECONDS, **room)
        self.under_way = Gauge("trim_requests_under_way", "Requests that are being answered.", **room)
        self.waiting = Gauge("trim_requests_waiting", "Requests that wait for a place.", **room)
        share = Gauge("trim_strong_share", "Share of all kept tokens that the strong model wrote, since start.", **room)
        share.set_function(self._strong_share)
        Gauge("trim_prm_up", "Whether the PRM is asked.", **room).set_function(lambda: float(prm_is_up()))
        self._kept = {"strong": 0, "weak": 0}

    def step(self, step: ToldStep) -> None:
        """Count a step that was kept."""
        self.steps.labels(step.author, step.reason.value).inc()
        if step.reason == "prm_down":
            self.prm_down.inc()

    def refused(self, status: int) -> None:
        """Count a request that was refused before anything was asked."""
        self.requests.labels("", f"refused {status}").inc()

    def ended(self, answering: Answering, label: str, outcome: str, seconds: float) -> None:
        """Count a request that has ended, however it did."""
        costs = asdict(answering.costs)
        for kind, name in TOKENS.items():
            self.tokens.labels(kind).inc(costs[name])
        for role in self._kept:
            self._kept[role] += costs[f"{role}_tokens"]
        self.requests.labels(label, outcome).inc()
        self.seconds.observe(seconds)

    def page(self) -> bytes:
        """Return what Prometheus reads."""
        return generate_latest(self.registry)

    def _strong_share(self) -> float:
        kept = sum(self._kept.values())
        return self._kept["strong"] / kept if kept else 0.0
