"""What a large step store costs: to write, to open, to ask, to join, in CPU seconds and resident memory.

    python -m benchmarks.store [--entries 1000000] [--folder FOLDER] [--tokens 6] [--put 0]

The steps are simulated: keys and tokens are drawn at random, texts are short and say their number, and no model wrote
any of them. Segments are written as `Partition` writes them, but from whole columns, so that ten million take a minute
or two; `--put` measures how one process writes so many steps one after the other. Each measurement is a process of its
own. A folder that holds the store already is taken as it is; one of ours (without --folder) is removed afterwards.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from benchmarks.common import most_memory
from trim.files import write_table
from trim.models.entries import STEPS
from trim.models.joining import join_segments
from trim.models.protocols import FinishReason, Step
from trim.models.store import FLUSH_ENTRIES, Partition

IDENTITY = "simulated"
ASKED = 100_000


def keys(number: int) -> np.ndarray:
    """Draw the keys of a segment at random, as digests are."""
    return np.random.default_rng([1, number]).integers(0, 256, (FLUSH_ENTRIES, 16), np.uint8)


def segment(number: int, tokens: int) -> pa.Table:
    """Simulate the steps of a segment."""
    drawn = np.random.default_rng([2, number]).integers(0, 150_000, FLUSH_ENTRIES * tokens, np.int32)
    offsets = np.arange(0, len(drawn) + 1, tokens, np.int32)
    texts = [f"simulated step {i}\n\n" for i in range(number * FLUSH_ENTRIES, (number + 1) * FLUSH_ENTRIES)]
    columns = [
        pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(16), FLUSH_ENTRIES, [None, pa.py_buffer(keys(number).tobytes())]
        ),
        pa.array(texts),
        pa.ListArray.from_arrays(pa.array(offsets), pa.array(drawn)),
        pa.array(np.full(FLUSH_ENTRIES, 300, np.int32)),
        pa.array([FinishReason.SEPARATOR.value]).take(pa.array(np.zeros(FLUSH_ENTRIES, np.int32))),
    ]
    return pa.table(columns, schema=STEPS.schema)


def write(folder: Path, entries: int, tokens: int) -> None:
    """Write a store, unless it is there."""
    for number in range(entries // FLUSH_ENTRIES):
        path = folder / f"20260101T000000-{number:06d}.parquet"
        if not path.exists():
            write_table(segment(number, tokens), path, {"trim": "{}", "identity": IDENTITY})


def put(folder: Path, entries: int, tokens: int) -> None:
    """Write steps one after the other, as a job does."""
    partition = Partition(folder, STEPS, IDENTITY)
    for number in range(entries // FLUSH_ENTRIES):
        drawn = np.random.default_rng([2, number]).integers(0, 150_000, (FLUSH_ENTRIES, tokens), np.int32)
        for i, (key, ids) in enumerate(zip(keys(number), drawn, strict=True)):
            step = Step(f"simulated step {i}\n\n", tuple(ids.tolist()), 300, FinishReason.SEPARATOR)
            partition.put(key.tobytes(), step)
    partition.flush()


def ask(folder: Path) -> None:
    """Open the store, and ask for entries in the order in which they were written."""
    partition = open_store(folder)
    started = time.process_time()
    asked = 0
    for number in range(min(ASKED, len(partition)) // FLUSH_ENTRIES):
        for key in keys(number):
            assert partition.get(key.tobytes()) is not None
            asked += 1
    spent = time.process_time() - started
    print(f"  {asked:,} entries asked for: {1e6 * spent / max(asked, 1):.1f} us each")


def open_store(folder: Path) -> Partition[Step]:
    """Open the store."""
    partition = Partition(folder, STEPS, IDENTITY)
    print(f"  {len(partition):,} entries in {len(list(folder.glob('*.parquet'))):,} segments")
    return partition


def measured(what: str, *arguments: object) -> None:
    """Do one thing in a process of its own, and print what it took."""
    print(what, flush=True)
    subprocess.run([sys.executable, "-m", "benchmarks.store", "--only", what, *map(str, arguments)], check=True)


def alone(options: argparse.Namespace) -> None:
    """Do one thing, and print what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    match options.only:
        case "write":
            write(options.folder, options.entries, options.tokens)
        case "put":
            put(options.folder, options.entries, options.tokens)
        case "join":
            print(f"  {join_segments(options.folder, STEPS, IDENTITY)} segments fewer")
        case "ask":
            ask(options.folder)
        case _:
            open_store(options.folder)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"  {cpu:.1f} CPU s, {wall:.1f} s of wall time, {most_memory():.2f} GB of memory at most")


def main() -> None:
    """Write, open, ask, join, and open again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--tokens", type=int, default=6, help="tokens of a step")
    parser.add_argument("--folder", type=Path, help="where the store is, or is to be")
    parser.add_argument("--put", type=int, default=0, help="steps that one process writes one after the other")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        alone(options)
        return
    with TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch) / "store"
        if options.put:
            measured("put", "--folder", Path(scratch) / "put", "--entries", options.put, "--tokens", options.tokens)
        measured("write", "--folder", folder, "--entries", options.entries, "--tokens", options.tokens)
        print(f"  {sum(path.stat().st_size for path in folder.iterdir()) / 1e9:.2f} GB on disk")
        for what in ("open", "ask", "join", "open", "ask"):
            measured(what, "--folder", folder)


if __name__ == "__main__":
    main()
