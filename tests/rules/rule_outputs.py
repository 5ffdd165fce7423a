"""What the smoke run holds, and how the outputs of a rule are read and compared with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from smoke import contents

from trim.names import routers_of

SIZES = {"prm_train": 24, "router_train": 12, "dev": 12, "test": 24}
KEYS = ["problem_id", "replicate", "behaviour", "position"]
COSTS = [
    "strong_tokens",
    "weak_tokens",
    "discarded_tokens",
    "prm_tokens",
    "strong_prefill_tokens",
    "strong_calls",
    "weak_calls",
    "prm_calls",
]
ROUTERS = {
    "weak-only": "untrained",
    "strong-only": "untrained",
    "random-step": "untrained",
    "first-error-oracle": "untrained",
    "perfect-information": "untrained",
    "trim-thr": "arith",
    "one-step-takeover": "arith",
    "trim-agg": "arith",
    "trim-seq": "arith",
    "trim-pomdp": "arith",
    "fitted-q": "arith",
    "rsd": "untrained",
    "oracle-query": "untrained",
    **dict.fromkeys(routers_of("query"), "arith"),
}


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def origin(path: Path) -> dict[str, Any]:
    """Provenance that a Parquet file carries."""
    return json.loads(pq.read_schema(path).metadata[b"trim"])


def assert_same(tree: Path, smoke_run: Path, *paths: Path) -> None:
    for path in paths:
        if (smoke_run / path).is_dir():
            assert contents(tree / path) == contents(smoke_run / path)
        else:
            assert (tree / path).read_bytes() == (smoke_run / path).read_bytes()
