"""Write results whole or not at all, with a checksum and a note on where they come from; believe none without."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from trim.checksums import PLACE, seal, sealed_bytes, sum_file, summed_bytes
from trim.errors import DamagedFile, about_disk
from trim.layouts import Layout, check_ranges, check_types

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

Parsed = TypeVar("Parsed")

CHECKSUM = "checksum"
"""Key of the checksum in JSON, and in the metadata of Parquet and safetensors."""


@contextmanager
def written_aside(path: str | Path) -> Iterator[Path]:
    """Yield a path beside the final one, and rename it into place when the body succeeds.

    Raises
    ------
    RunError
        If the disk is full, or the folder may not be written.
    """
    final = Path(path)
    aside = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        if final.is_dir() and aside.is_dir():
            shutil.rmtree(final)
        aside.replace(final)
    except Exception as error:
        if said := about_disk(error, final):
            raise said from error
        raise
    finally:
        if aside.is_dir():
            shutil.rmtree(aside)
        elif aside.exists():  # on a disk that is closed, even a file that is not there cannot be removed
            aside.unlink(missing_ok=True)


# --- JSON -------------------------------------------------------------------------------


def write_json(content: Mapping[str, Any], path: str | Path) -> None:
    """Write JSON that people can read, its checksum last."""
    with written_aside(path) as aside:
        aside.write_text(json.dumps({**content, CHECKSUM: PLACE}, indent=1) + "\n", encoding="utf-8")
        seal(aside)


def read_json(path: str | Path, *, whole: Path | None = None) -> dict[str, Any]:
    """Read what `write_json` wrote.

    Parameters
    ----------
    whole
        What is to be deleted where the file is damaged, if that is more than the file; so below.

    Raises
    ------
    DamagedFile
        If it is missing or not what was written; so below.
    """
    content = _parsed(Path(path), json.loads, whole)
    return {key: value for key, value in content.items() if key != CHECKSUM}


def _parsed(path: Path, parse: Callable[[bytes], Parsed], whole: Path | None) -> Parsed:
    content = sealed_bytes(path, whole=whole)
    try:
        return parse(content)
    except Exception as error:  # what parsers say of a file of another kind
        raise DamagedFile(path, str(error), whole) from None


USE_THREADS = False
"""Of Arrow, when it reads: a thread of its pools that is still alive when Python ends now and then aborts the process,
all of whose work is done (apache/arrow#34314)."""

# --- tables -----------------------------------------------------------------------------


def write_parquet(frame: pd.DataFrame, path: str | Path, origin: Mapping[str, Any]) -> None:
    """Write a table as Parquet, its provenance in the file's metadata under the key `trim`."""
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False)
    write_table(table, path, {**(table.schema.metadata or {}), "trim": json.dumps(origin)})


def write_table(
    table: pa.Table, path: str | Path, metadata: Mapping[Any, Any], level: int | None = None, rows: int | None = None
) -> None:
    """Write a table as Parquet, with metadata and a checksum among them.

    Parameters
    ----------
    level
        Of zstd.
    rows
        Most rows of a row group.
    """
    import pyarrow.parquet as pq

    how = {"compression": "zstd", "compression_level": level, "row_group_size": rows, "write_page_checksum": True}
    with written_aside(path) as aside:
        pq.write_table(table.replace_schema_metadata({**metadata, CHECKSUM: PLACE}), aside, **how)
        seal(aside)


def read_parquet(path: str | Path, layout: Layout, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read what `write_parquet` wrote.

    Parameters
    ----------
    layout
        Columns that there must be; there may be others.
    columns
        Which are read; all by default.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    asked = {name: column for name, column in layout.items() if columns is None or name in columns}

    def parse(content: bytes) -> pd.DataFrame:
        file = pq.ParquetFile(pa.BufferReader(content))
        check_types(file.schema_arrow, asked, columns or ())
        table = file.read(columns and list(columns), use_threads=USE_THREADS)
        check_ranges(table, asked)
        frame: pd.DataFrame = table.to_pandas(use_threads=USE_THREADS)
        return frame

    return _parsed(Path(path), parse, None)


def read_origin(path: str | Path) -> dict[str, Any]:
    """Return the provenance that `write_parquet` wrote into a table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def parse(content: bytes) -> dict[str, Any]:
        origin: dict[str, Any] = json.loads(pq.read_schema(pa.BufferReader(content)).metadata[b"trim"])
        return origin

    return _parsed(Path(path), parse, None)


def write_csv(frame: pd.DataFrame, path: str | Path, exact: Sequence[str] = ()) -> None:
    """Write a table as CSV: the same results give the same bytes.

    Parameters
    ----------
    exact
        Columns of settings, written in full; measured numbers get six significant digits.
    """
    frame = frame.assign(**{name: frame[name].map(lambda value: repr(float(value))) for name in exact})
    write_text(frame.to_csv(index=False, float_format="%.6g", lineterminator="\n"), path)


def read_csv(path: str | Path, *, whole: Path | None = None) -> pd.DataFrame:
    """Read a table that `write_csv` wrote, or one of somebody else's."""
    import pandas as pd

    return pd.read_csv(io.BytesIO(summed_bytes(Path(path), whole=whole)))


# --- text, and arrays -------------------------------------------------------------------


def write_text(text: str, path: str | Path) -> None:
    """Write text, with its checksum beside it."""
    content = text.encode()
    with written_aside(path) as aside:
        aside.write_bytes(content)
        sum_file(Path(path), content)


def read_text(path: str | Path) -> str:
    """Read text that `write_text` wrote, or some of somebody else's."""
    return summed_bytes(Path(path)).decode("utf-8")


def write_tensors(tensors: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write arrays as safetensors."""
    import numpy as np
    from safetensors.numpy import save_file

    with written_aside(path) as aside:
        plain = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
        save_file(plain, aside, metadata={CHECKSUM: PLACE})
        seal(aside)


def read_tensors(path: Path, *, whole: Path | None = None) -> dict[str, NDArray[Any]]:
    """Read what `write_tensors` wrote."""
    from safetensors.numpy import load

    return _parsed(path, load, whole)


def write_arrays(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write arrays as npz, the checksum as the comment of the archive."""
    import numpy as np

    with written_aside(path) as aside:
        with aside.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        with zipfile.ZipFile(aside, "a") as archive:
            archive.comment = PLACE.encode()
        seal(aside)


def read_arrays(path: Path, *, whole: Path | None = None) -> dict[str, NDArray[Any]]:
    """Read what `write_arrays` wrote."""
    import numpy as np

    def parse(content: bytes) -> dict[str, NDArray[Any]]:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    return _parsed(path, parse, whole)
