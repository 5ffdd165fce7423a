"""What tells a model from every other: the content of its folder, or its hub name and revision."""

from __future__ import annotations

import hashlib
from pathlib import Path

from trim.checksums import check_folder

FINGERPRINTED = ("*.safetensors", "*.bin", "*.model", "*.json", "*.jinja")


def fingerprint_model(name: str, revision: str | None) -> str:
    """Identify a model by the content of its folder, or by its hub name and revision.

    Raises
    ------
    DamagedFile
        If the folder holds checksums, and a file of it is another one.
    """
    folder = Path(name)
    if not folder.is_dir():
        return f"{name}@{revision or 'main'}"
    check_folder(folder)
    digest = hashlib.sha256()
    for path in sorted({path for pattern in FINGERPRINTED for path in folder.glob(pattern)}):
        if path.name != "metrics.json":  # says how it was made, not what it is
            with path.open("rb") as file:
                digest.update(path.name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
