"""Several processes write, read and join one partition, and are killed: what was flushed is there, and unchanged."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from stored import key, segments

import trim
from trim.models.entries import SCORES
from trim.models.joining import join_segments
from trim.models.protocols import Score
from trim.models.store import Partition

WRITERS = 3
KILLS = 60 if "TRIM_TEST_ENDURANCE" in os.environ else 4

WRITER = """
import random, sys
from pathlib import Path
from trim.models.entries import SCORES
from trim.models.joining import join_segments
from trim.models.protocols import Score
from trim.models.store import Partition

folder, rng = Path(sys.argv[1]), random.Random(int(sys.argv[2]))
partition = Partition(folder, SCORES, "prm")
while True:
    numbers = [rng.randrange(2000) for _ in range(20)]
    for i in numbers:
        entry = partition.put(i.to_bytes(16, "big"), Score(i / 2000, i))
        assert entry == Score(i / 2000, i), entry
    partition.flush()
    print(*numbers, flush=True)
    if rng.random() < 0.3:
        join_segments(folder, SCORES, "prm")
    if rng.random() < 0.2:
        partition = Partition(folder, SCORES, "prm")
"""


def start(folder: Path, seed: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(seed)],
        env={**os.environ, "PYTHONPATH": str(Path(trim.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_writers_that_are_killed_lose_nothing_that_was_flushed(tmp_path: Path) -> None:
    rng, flushed, seeds = random.Random(3), set[int](), iter(range(10**6))
    running = [start(tmp_path, next(seeds)) for _ in range(WRITERS)]
    for kill in range(KILLS):
        victim = running.pop(0)
        assert victim.stdout is not None and victim.stderr is not None
        lines = [victim.stdout.readline()]  # it has written something at least
        time.sleep(rng.uniform(0, 0.5))
        victim.kill()
        lines += victim.stdout.readlines()
        assert victim.stderr.read() == ""
        victim.wait()
        flushed |= {int(number) for line in lines if line.endswith("\n") for number in line.split()}
        if kill < KILLS - WRITERS:
            running.append(start(tmp_path, next(seeds)))
    for writer in running:
        writer.kill()
        writer.communicate()
    for _ in range(2):
        partition = Partition(tmp_path, SCORES, "prm")
        assert partition.counts.conflicts == 0
        assert len(flushed) > 20
        assert all(partition.get(key(i)) == Score(i / 2000, i) for i in flushed)
        join_segments(tmp_path, SCORES, "prm")
    assert len(segments(tmp_path)) == 1
