"""Keys and segments of a step store, for its tests."""

from __future__ import annotations

from pathlib import Path


def key(i: int) -> bytes:
    return i.to_bytes(16, "big")


def segments(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))
