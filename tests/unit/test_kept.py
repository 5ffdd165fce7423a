"""What the step store keeps beside steps and scores: it comes back as it was, or is named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from trim.checksums import SUMS, sum_folder
from trim.config.datasets import FileDataset
from trim.errors import DamagedFile
from trim.models.kept import IDENTITY_FILE, Kept, problem_facts
from trim.problems.prepared import SPLITS, is_at_hand, load_prepared, prepare, save_prepared
from trim.problems.problem import fingerprint

FACTS = {"spec": {"kind": "value"}, "seed": "7/prm"}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """A store that keeps two files under FACTS."""
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "a.bin").write_bytes(b"\0\1")
    (source / "deep/b.json").write_text("{}")
    kept = Kept(tmp_path / "store")
    kept.keep("prms", FACTS, source)
    return kept


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lose_lines(place: Path) -> None:
    """Lose the end of the list of files, down to nothing, as after a power cut."""
    (place / SUMS).write_text("")


def test_what_is_kept_comes_back(kept: Kept, tmp_path: Path) -> None:
    assert kept.restore("prms", FACTS, tmp_path / "back")
    assert files(tmp_path / "back") == files(tmp_path / "source")


@pytest.mark.parametrize(("room", "facts"), [("problems", FACTS), ("prms", {**FACTS, "seed": "8/prm"})])
def test_what_decides_tells_folders_apart(kept: Kept, tmp_path: Path, room: str, facts: dict[str, object]) -> None:
    assert not kept.restore(room, facts, tmp_path / "back")
    assert not (tmp_path / "back").exists()
    turned = {"seed": FACTS["seed"], "spec": FACTS["spec"]}
    assert kept.place("prms", turned) == kept.place("prms", FACTS)


def test_what_is_made_again_takes_the_place_of_what_was_there(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "source/a.bin").write_bytes(b"newer")
    Kept(kept.root, offline=True).keep("prms", FACTS, tmp_path / "source")
    assert kept.restore("prms", FACTS, tmp_path / "old") and (tmp_path / "old/a.bin").read_bytes() == b"\0\1"
    kept.keep("prms", FACTS, tmp_path / "source")
    assert kept.restore("prms", FACTS, tmp_path / "new") and (tmp_path / "new/a.bin").read_bytes() == b"newer"


def describe_another(place: Path) -> None:
    (place / IDENTITY_FILE).write_text(json.dumps({"seed": 1}))
    sum_folder(place)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda place: (place / "a.bin").write_bytes(b"\0\2"), r"a\.bin: .*SHA256SUMS says another checksum"),
        (lambda place: (place / "a.bin").unlink(), r"a\.bin: .*SHA256SUMS names it, but it cannot be read"),
        (lambda place: (place / SUMS).unlink(), "lacks identity.json or SHA256SUMS"),
        (lambda place: (place / IDENTITY_FILE).unlink(), "lacks identity.json or SHA256SUMS"),
        (lambda place: (place / "stray.json").write_text("{}"), r"stray\.json: .*SHA256SUMS does not name it"),
        (lose_lines, r"a\.bin: .*SHA256SUMS does not name it"),
        (describe_another, "it describes something else"),
    ],
)
def test_damage_is_named_and_not_believed(
    kept: Kept, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    damage(kept.place("prms", FACTS))
    with pytest.raises(DamagedFile, match=said):
        kept.restore("prms", FACTS, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_prepared_problems_come_back_with_what_the_manifest_says_of_them(tmp_path: Path) -> None:
    records = [{"problem": f"What is {i}+1?", "answer": str(i + 1)} for i in range(40)]
    source = tmp_path / "source.jsonl"
    source.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    spec = FileDataset(source="jsonl", layout="math", path=str(source), splits={"dev": 0.5, "test": 0.5})
    assert is_at_hand(spec)
    prepared = prepare("sums", spec, {})
    save_prepared(prepared, tmp_path / "kept")
    source.unlink()
    assert not is_at_hand(spec)
    back = load_prepared(tmp_path / "kept")
    assert back == prepared
    assert set(back.splits) == set(SPLITS) and not back.splits["prm_train"]
    asked = {problem.fingerprint for split in ("dev", "test") for problem in back.splits[split]}
    assert asked == {fingerprint(str(record["problem"])) for record in records}
    facts = problem_facts("sums", spec.model_dump(mode="json"), 1)
    assert facts != problem_facts("sums", spec.model_copy(update={"limit": 3}).model_dump(mode="json"), 1)
    assert facts == problem_facts("sums", spec.model_copy(update={"licence": "MIT"}).model_dump(mode="json"), 1)
    shutil.rmtree(tmp_path / "kept")
