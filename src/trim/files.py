"""Write results whole or not at all, and record where they come from."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def written_aside(path: str | Path) -> Iterator[Path]:
    """Yield a path beside the final one, and rename it into place when the body succeeds."""
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    aside = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    try:
        yield aside
        if final.is_dir() and aside.is_dir():
            shutil.rmtree(final)
        aside.replace(final)
    finally:
        if aside.is_dir():
            shutil.rmtree(aside)
        else:
            aside.unlink(missing_ok=True)


def write_json(content: Any, path: str | Path) -> None:
    """Write JSON that people can read."""
    with written_aside(path) as aside:
        aside.write_text(json.dumps(content, indent=1, sort_keys=False) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read JSON."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_parquet(frame: pd.DataFrame, path: str | Path, origin: Mapping[str, Any]) -> None:
    """Write a table as Parquet, its provenance in the file's metadata under the key `trim`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False)
    metadata = {**(table.schema.metadata or {}), b"trim": json.dumps(origin).encode()}
    with written_aside(path) as aside:
        pq.write_table(table.replace_schema_metadata(metadata), aside, compression="zstd")


def write_csv(frame: pd.DataFrame, path: str | Path, exact: Sequence[str] = ()) -> None:
    """Write a table as CSV: the same results give the same bytes.

    Parameters
    ----------
    exact
        Columns of settings, written in full; measured numbers get six significant digits.
    """
    frame = frame.assign(**{name: frame[name].map(lambda value: repr(float(value))) for name in exact})
    with written_aside(path) as aside:
        frame.to_csv(aside, index=False, float_format="%.6g", lineterminator="\n")
