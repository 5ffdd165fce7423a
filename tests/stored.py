"""Keys and segments of a step store, for its tests."""

from __future__ import annotations

from pathlib import Path

from trim.models.store import StepStore


def key(i: int) -> bytes:
    return i.to_bytes(16, "big")


def segments(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


def misses(store: StepStore) -> int:
    """How many steps and scores were not in the store."""
    return sum(counts["misses"] for counts in store.report().values())
