"""Archives that somebody made up: right checksums of wrong things are refused."""

import hashlib
import io
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from trim.archive.parts import Manifest, Piece, import_archive, read_archive
from trim.errors import InputError
from trim.files import read_json, write_json


def member(name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size = kind, len(content) if kind == tarfile.REGTYPE else 0
    made.linkname = "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    return made


def forged(folder: Path, members: Sequence[tarfile.TarInfo], named: Sequence[str]) -> Path:
    """Write an archive whose checksums are right, of a tar as somebody may have made it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for made in members:
            tar.addfile(made, io.BytesIO(b"x" * made.size))
    whole = buffer.getvalue()
    digest = hashlib.sha256(b"x").hexdigest()
    folder.mkdir()
    (folder / "part-000").write_bytes(whole)
    manifest = Manifest(
        experiment="mini",
        made_by="",
        provenance={},
        config={},
        licences={},
        held=(),
        parts=(Piece.of("part-000", whole),),
    )
    files = [{"name": name, "size": 1, "sha256": digest} for name in named]
    write_json(manifest.model_dump(mode="json") | {"files": files}, folder / "manifest.json")
    return folder


@pytest.mark.parametrize(
    ("members", "named", "said"),
    [
        ([member("../evil")], ["../evil"], "'../evil' cannot be the name of a file"),
        ([member("/evil")], ["/evil"], "'/evil' cannot be the name of a file"),
        ([member("gguf/0/model.safetensors")], ["gguf/0/model.safetensors"], "cannot be the name of a file"),
        ([member("../evil")], ["a"], "does not name a file of this name and size"),
        ([member("a"), member("b")], ["a"], "does not name a file of this name and size"),
        ([member("a"), member("a")], ["a"], "it is in the archive twice"),
        ([member("a")], ["a", "b"], "the parts do not hold it"),
        ([member("a", b"xy")], ["a"], "does not name a file of this name and size"),
        ([member("a", kind=tarfile.SYMTYPE)], ["a"], "it is a link or another thing"),
        ([member("a", kind=tarfile.LNKTYPE)], ["a"], "it is a link or another thing"),
        ([member("a", kind=tarfile.DIRTYPE)], ["a"], "it is a link or another thing"),
        ([member("a", kind=tarfile.CHRTYPE)], ["a"], "it is a link or another thing"),
    ],
)
def test_what_somebody_made_up_is_refused(
    tmp_path: Path, members: list[tarfile.TarInfo], named: list[str], said: str
) -> None:
    folder = forged(tmp_path / "archive", members, named)
    with pytest.raises(InputError, match=re.escape(said)):
        import_archive(folder, tmp_path / "deep/store")
    assert {path.name for path in tmp_path.rglob("*")} == {"archive", "part-000", "manifest.json"}


def test_a_sound_archive_that_somebody_made_is_taken(tmp_path: Path) -> None:
    import_archive(forged(tmp_path / "archive", [member("a"), member("b")], ["a", "b"]), tmp_path / "store")
    assert {path.name: path.read_bytes() for path in (tmp_path / "store").iterdir()} == {"a": b"x", "b": b"x"}


def test_parts_that_are_no_tar_are_refused(tmp_path: Path) -> None:
    folder = forged(tmp_path / "archive", [], [])
    content = read_json(folder / "manifest.json")
    (folder / "part-000").write_bytes(b"no tar")
    content["parts"] = [Piece.of("part-000", b"no tar").model_dump()]
    write_json(content, folder / "manifest.json")
    with pytest.raises(InputError, match="the parts make no tar"):
        read_archive(folder)
