"""What a frozen encoder makes of texts: kept beside the steps in the step store, so that a replay needs no model.

`vectors/{encoder}/{part}.npz` holds the vectors of texts in half precision, under hashes of the texts; what is computed
from many texts together has a file of its own. All are read as they were rounded, so that the run that computed them
and its replays see the same numbers. Vectors are kept in full width: a few directions carry most of their variance, and
the others, which standardising brings out, would drown in the error of a random projection.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from trim.arrays import Floats, Singles
from trim.checksums import short_digest
from trim.config.models import GgufModel, PretrainedModel
from trim.errors import BackendError, ClosedFolder, StoreError, about_disk
from trim.files import read_arrays, write_arrays, written_aside
from trim.models.identities import identify_weights, is_ragged
from trim.models.opening import fetch_gguf
from trim.models.store import MissingEntries, StepStore

logger = logging.getLogger(__name__)

FrozenModel = PretrainedModel | GgufModel

VECTORS_VERSION = 1  # raised when a change here or of the encoders changes the vectors
FOLDER = "vectors"
KEY_BYTES = 16


class TextReader(Protocol):
    """Maps texts to vectors."""

    def embed(self, texts: Sequence[str]) -> Singles:
        """Return vectors of shape (texts, width)."""
        ...


def identify_encoder(spec: FrozenModel) -> str:
    """Say all that a stored vector depends on, but the text; where the model lies and runs does not count."""
    how = {"layer": "last, normalised", "pooling": "mean", "precision": spec.dtype, "vectors": VECTORS_VERSION}
    return json.dumps({"model": identify_weights(spec), **how}, sort_keys=True)


def load_frozen(spec: FrozenModel, store: StepStore, device: str) -> TextReader:
    """Load the encoder itself: in bf16 without padding where the model runs so elsewhere, else in single precision."""
    from trim.models.encoder import Encoder, RaggedEncoder

    name = fetch_gguf(spec, store) if isinstance(spec, GgufModel) else spec.name
    revision = spec.revision if isinstance(spec, PretrainedModel) else None
    if is_ragged(spec):
        return RaggedEncoder(name, revision=revision, device=device)
    return Encoder(name, revision=revision, device=device)


class StoredVectors:
    """A `TextReader` behind the step store; the encoder is loaded when a text is not there.

    Parameters
    ----------
    store
        Says where vectors lie, of which part of the data, and whether a missing one is an error.
    identity
        Of the encoder; stands in every file.
    load
        Loads the encoder.
    """

    def __init__(self, store: StepStore, identity: str, load: Callable[[], TextReader]) -> None:
        self.folder = store.root / FOLDER / short_digest(identity.encode())
        self._part, self._offline = store.part, store.offline
        self._identity = identity
        self._load = load

    def embed(self, texts: Sequence[str]) -> Singles:
        """Return vectors of shape (texts, width), rounded to half precision.

        Raises
        ------
        MissingEntries
            Offline, some are missing.
        """
        file = self.folder / f"{self._part}.npz"
        keys = [_key(text) for text in texts]
        known = self._known(file)
        if missing := set(keys) - set(known):
            with self._writing(file, len(missing)):
                known = self._known(file)  # somebody else may have read some in the meantime
                fresh = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
                if fresh:
                    read = zip(fresh, _halved(self._load().embed(list(fresh.values()))), strict=True)
                    known |= dict(read)
                    self._write(file, known)
        logger.info("vectors of %s: %d texts, %d of them read now", self._part, len(texts), len(missing))
        return np.stack([known[key] for key in keys]).astype(np.float32)

    def remember(self, texts: Sequence[str], compute: Callable[[TextReader], Floats]) -> Floats:
        """Return what is computed from these texts together, flat and rounded to half precision.

        Raises
        ------
        MissingEntries
            Offline, it is missing.
        """
        key = _key(*texts)
        file = self.folder / f"{self._part}.{key.hex()}.npz"
        known = self._known(file)
        if key not in known:
            with self._writing(file, 1):
                known = self._known(file)
                if key not in known:
                    known = {key: _halved(compute(self._load())).ravel()}
                    self._write(file, known)
        return known[key].astype(np.float64)

    @contextmanager
    def _writing(self, file: Path, missing: int) -> Iterator[None]:
        """Have a part of the data to oneself: two jobs that need the same texts must get the same vectors."""
        if self._offline:
            raise MissingEntries(
                f"{file}: vectors of {missing} texts are missing, and `offline: true` allows no encoder; fetch the "
                "step store that belongs to these results, or run once with `offline: false`"
            )
        described = self.folder / "identity.json"
        with self._lock() as lock:
            if lock is not None:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not described.exists():
                    with written_aside(described) as aside:
                        aside.write_text(json.dumps({"identity": self._identity}, indent=1) + "\n", encoding="utf-8")
            yield

    def _lock(self) -> IO[str] | nullcontext[None]:
        """Open the file that is locked; none where the store is closed to us, and nothing will be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return (self.folder / f".{self._part}.lock").open("w")
        except OSError as error:
            if isinstance(about_disk(error, self.folder), ClosedFolder):
                return nullcontext()
            raise

    def _known(self, file: Path) -> dict[bytes, NDArray[np.float16]]:
        if not file.exists():
            return {}
        arrays = read_arrays(file)
        if str(arrays.get("identity")) != self._identity:
            raise StoreError(
                f"{file}: vectors of another encoder; move the file back to the folder of that encoder, or delete it"
            )
        return dict(zip(map(bytes, arrays["keys"]), arrays["vectors"], strict=True))

    def _write(self, file: Path, known: dict[bytes, NDArray[np.float16]]) -> None:
        keys = np.frombuffer(b"".join(known), np.uint8).reshape(-1, KEY_BYTES)
        vectors = np.stack(list(known.values()))
        try:
            write_arrays({"identity": np.array(self._identity), "keys": keys, "vectors": vectors}, file)
        except ClosedFolder as error:
            logger.warning("%s: vectors are not kept: %s", file, error)


def _key(*texts: str) -> bytes:
    digest = hashlib.blake2b(digest_size=KEY_BYTES)
    for text in texts:
        digest.update(hashlib.sha256(text.encode()).digest())
    return digest.digest()


def _halved(vectors: Singles | Floats) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        rounded = np.asarray(vectors, dtype=np.float16)
    if not np.isfinite(rounded).all():
        raise BackendError("the encoder of the query-level baselines gave a number that no half-precision number is")
    return rounded
