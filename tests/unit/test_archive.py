"""Archives of the step store: the same content gives the same bytes, and what is not whole is not believed."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from stored import key, segments
from typer.testing import CliRunner

from trim.archive import export, parts
from trim.archive.export import export_store, identities, verify_archive
from trim.archive.parts import import_archive, read_archive, write_archive
from trim.checksums import sum_folder
from trim.cli import app
from trim.config.experiment import Experiment
from trim.config.models import LikelihoodPRM
from trim.config.reading import read_experiment
from trim.errors import ConfigError, InputError, RunError
from trim.models.fingerprint import fingerprint_model
from trim.models.kept import PRMS, PROBLEMS, Kept, problem_facts
from trim.models.prm_kinds import PrmKind
from trim.models.protocols import FinishReason, Score, Step
from trim.models.store import SCORES, STEPS, StepStore
from trim.problems.prepared import prepare, save_prepared
from trim.reproduce import import_replay

FILE = {"source": "jsonl", "layout": "math", "path": "riddles.jsonl", "licence": "MIT"}
DATASETS = Experiment().model_dump(mode="json")["datasets"] | {"riddles": FILE}
CONFIG = {"experiment": "mini", "reported_prms": [], "datasets": DATASETS}
RIDDLE = {"problem": "What has 3 legs and another?", "answer": "4"}


def entry(codec: Any, i: int) -> Any:
    if codec is SCORES:
        return Score(i / 1000, i)
    return Step(f"step {i}\n\n", (i, 2 * i), i, FinishReason.SEPARATOR)


def fill(root: Path, numbers: Sequence[int], batches: int = 1, part: str = "arith.test") -> None:
    """Store entries of every model of the experiment, in so many segments."""
    models = list(identities(read_experiment(root), root))
    for batch in range(batches):
        store = StepStore(root / "step_store", part)
        for _, identity, codec in models:
            for i in numbers[batch::batches]:
                store.partition(identity, codec).put(key(i), entry(codec, i))
        store.flush()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A checkout in which a small experiment has run, as far as its store can tell, and an archive of it."""
    root = tmp_path_factory.mktemp("made") / "checkout"
    root.mkdir()
    (root / "config.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    (root / "riddles.jsonl").write_text(json.dumps(RIDDLE) + "\n", encoding="utf-8")
    kept, experiment = Kept(root / "step_store"), read_experiment(root)
    for name in ("weak", "strong", "prm-verifier"):
        folder = root / "results/mini/models" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(name), encoding="utf-8")
        if name == "prm-verifier":
            kept.keep(PRMS, {"which": "the one"}, folder)
            kept.keep(PRMS, {"which": "another experiment's"}, folder.parent / "weak")
        (folder / "metrics.json").write_text("{}", encoding="utf-8")
        sum_folder(folder)
    spec = experiment.datasets["riddles"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(export, "prm_kinds", lambda: {"likelihood": PrmKind(LikelihoodPRM, "", "", kept=True)})
        save_prepared(prepare("riddles", spec, {}), root / "prepared")  # type: ignore[arg-type]
        kept.keep(PROBLEMS, problem_facts("riddles", spec.model_dump(mode="json"), experiment.seed), root / "prepared")
        fill(root, range(50), batches=3)
        exported(root)
        yield root


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that checkout, to do with as one likes."""
    shutil.copytree(made, tmp_path / "checkout")
    monkeypatch.chdir(tmp_path / "checkout")
    return tmp_path / "checkout"


@pytest.fixture
def archive(root: Path) -> Path:
    return root / "archive"


def exported(root: Path, folder: str = "archive") -> Path:
    export_store([], root / folder, {}, 10_000_000, root)
    return root / folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- there and back ---------------------------------------------------------------------


def test_the_same_content_gives_the_same_bytes(root: Path) -> None:
    first = contents(root / "archive")
    for segment in segments(root / "step_store"):
        segment.unlink()
    fill(root, range(49, -1, -1))  # in another order, at another time, in one segment
    assert contents(exported(root, "another order")) == first
    imported = root / "elsewhere"
    import_archive(root / "archive", imported)
    shutil.rmtree(root / "step_store")
    imported.rename(root / "step_store")
    assert contents(exported(root, "of an import")) == first


def test_an_import_has_every_step_score_prm_and_problem(root: Path, archive: Path, tmp_path: Path) -> None:
    manifest, new = import_archive(archive, tmp_path / "store")
    assert new == len(manifest.files)
    for _, identity, codec in identities(read_experiment(root), root):
        partition: Any = StepStore(tmp_path / "store", "arith.test", offline=True).partition(identity, codec)
        assert [partition.get(key(i)) for i in range(51)] == [*(entry(codec, i) for i in range(50)), None]
    kept = Kept(tmp_path / "store", offline=True)
    assert kept.restore(PRMS, {"which": "the one"}, tmp_path / "prm")
    trained = root / "results/mini/models/prm-verifier"
    assert fingerprint_model(str(tmp_path / "prm"), None) == fingerprint_model(str(trained), None)
    assert len(list((tmp_path / "store" / PROBLEMS).glob("*/test.jsonl"))) == 1


def test_what_is_of_others_stays_behind_and_further_rooms_come_along(root: Path, tmp_path: Path) -> None:
    store = root / "step_store"
    StepStore(store, "arith.test").partition("somebody else's", STEPS)
    fill(root, range(3), part="others.test")
    others = ("checkpoints/0123/model.safetensors", "gguf/0123/model.safetensors", "spending/0123/paid.jsonl")
    for name in (*others, "vectors/0123/arith.npz", "vectors/a.tmp"):
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        (store / name).write_bytes(name.encode())
    import_archive(exported(root), tmp_path / "store")
    found = contents(tmp_path / "store")
    assert found["vectors/0123/arith.npz"] == b"vectors/0123/arith.npz"
    models = {name.split("/")[0] for name in found if name.endswith("identity.json")}
    assert len(models) == 3 + 2  # models, and the rooms of PRMs and problems
    assert {name.split("/")[0] for name in found} == models | {"vectors"}
    assert not [name for name in found if "others.test" in name or name.endswith(".tmp")]
    assert len(list((tmp_path / "store" / PRMS).iterdir())) == 1


def test_an_import_twice_changes_nothing_and_one_that_was_killed_goes_on(archive: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    import_archive(archive, store)
    before = contents(store)
    assert import_archive(archive, store)[1] == 0
    for name in sorted(before)[::2]:
        (store / name).unlink()
    assert import_archive(archive, store)[1] == len(sorted(before)[::2])
    assert contents(store) == before


def test_steps_of_the_archive_come_before_all_others(root: Path, archive: Path, tmp_path: Path) -> None:
    _, identity, _ = next(iter(identities(read_experiment(root), root)))
    other = StepStore(tmp_path / "store", "arith.test")
    odd = Step("of a run of one's own", (), 1, FinishReason.LENGTH)
    other.partition(identity, STEPS).put(key(1), odd)
    other.partition(identity, STEPS).put(key(77), odd)
    other.flush()
    import_archive(archive, tmp_path / "store")
    partition = StepStore(tmp_path / "store", "arith.test", offline=True).partition(identity, STEPS)
    assert (partition.get(key(1)), partition.get(key(77))) == (entry(STEPS, 1), odd)


@pytest.mark.parametrize("how", ["another content", "a folder", "a link", "a file above"])
def test_what_is_there_with_another_content_is_never_overwritten(archive: Path, tmp_path: Path, how: str) -> None:
    store = tmp_path / "store"
    name = min(file.name for file in read_archive(archive).manifest.files if file.name.endswith(".parquet"))
    path = store / name
    path.parent.mkdir(parents=True)
    if how == "another content":
        path.write_bytes(b"mine")
    elif how == "a folder":
        path.mkdir()
    elif how == "a link":
        path.symlink_to(tmp_path / "nowhere")
    else:
        path.parent.rmdir()
        path.parent.write_bytes(b"mine")
    before = contents(store)
    with pytest.raises(InputError, match="has another content than in .*; move it away, or import into a folder of"):
        import_archive(archive, store)
    assert contents(store) == before


# --- what is said -----------------------------------------------------------------------


def test_the_manifest_and_the_page_say_what_it_is(root: Path) -> None:
    manifest = verify_archive(root / "archive")
    held = {(h.model, h.kind, h.part): h.entries for h in manifest.held}
    assert held == {
        ("pair.weak", "steps", "arith.test"): 50,
        ("pair.strong", "steps", "arith.test"): 50,
        ("prms.verifier", "scores", "arith.test"): 50,
    }
    assert manifest.licences["datasets.riddles"] == "MIT"
    assert manifest.licences["pair.weak"] == manifest.licences["datasets.arith"] == export.OWN
    assert manifest.config == read_experiment(root).decisive
    assert manifest.made_by == "trim store export data/replay/mini"
    assert all(part.size <= parts.PART_BYTES for part in manifest.parts)
    page = (root / "archive/README.md").read_text(encoding="utf-8")
    assert "trim run --replay data/replay/mini" in page and "| datasets.riddles | MIT |" in page


def test_the_page_and_the_metadata_are_as_hubs_of_data_sets_read_them(root: Path) -> None:
    _, head, page = (root / "archive/README.md").read_text(encoding="utf-8").split("---\n")
    said = yaml.safe_load(head)
    assert said["license"] == "mit" and said["size_categories"] == ["n<1K"] and said["viewer"] is False
    assert "croissant" in said["tags"] and page.startswith("\n# Archive of the experiment mini\n")
    described = json.loads((root / "archive/croissant.json").read_text(encoding="utf-8"))
    assert described["@type"] == "sc:Dataset" and described["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert described["license"] == ["https://spdx.org/licenses/MIT.html"]
    for file in described["distribution"]:
        content = (root / "archive" / file["contentUrl"]).read_bytes()
        assert file["@type"] == "cr:FileObject" and file["contentSize"] == f"{len(content)} B"
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert {file["name"] for file in described["distribution"]} == {"manifest.json", "part-000"}
    for record_set in described["recordSet"]:
        for field in record_set["field"]:
            assert field["source"]["fileObject"]["@id"] in {file["@id"] for file in described["distribution"]}
    used = {key.split(":")[-1] for key in keys(described) if not key.startswith("@")}
    schema = {"name", "description", "version", "license", "distribution", "contentUrl", "contentSize", "sha256"}
    assert used - schema - {"encodingFormat"} <= set(described["@context"])


def keys(content: Any) -> Iterator[str]:
    """Yield every key of a JSON document but those of its context."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield key
            yield from keys(value) if key != "@context" else ()
    elif isinstance(content, list):
        for value in content:
            yield from keys(value)


def test_the_metadata_are_croissant(root: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant", reason="is no dependency: it brings an RDF library and more")
    dataset = mlcroissant.Dataset(jsonld=root / "archive/croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    (first, *_) = dataset.records(record_set="held")
    assert first["held/entries"] == 50


def test_licences_that_differ_are_told_apart(root: Path) -> None:
    export_store([], root / "archive", {"pair.weak": "Apache-2.0", "pair.strong": "a deal of ours"}, 10_000_000, root)
    head = yaml.safe_load((root / "archive/README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert head["license"] == "other" and head["license_name"] == "Apache-2.0, MIT, a deal of ours"
    described = json.loads((root / "archive/croissant.json").read_text(encoding="utf-8"))
    apache, mit = (f"https://spdx.org/licenses/{name}.html" for name in ("Apache-2.0", "MIT"))
    assert described["license"] == [apache, mit, "a deal of ours"]


def test_what_has_no_known_licence_is_named_until_it_is_said(root: Path) -> None:
    (root / "more.yaml").write_text("datasets: {riddles: {licence: unknown}}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"no licence is known of datasets.riddles; say each, as in --licence"):
        export_store([Path("more.yaml")], root / "archive", {}, 10_000_000, root)
    with pytest.raises(ConfigError, match=r"--licence names 'riddles'; there are pair.weak, "):
        export_store([], root / "archive", {"riddles": "MIT"}, 10_000_000, root)
    experiment = read_experiment(root, [Path("more.yaml")])
    assert export.licences_of(experiment, {"datasets.riddles": "CC0"})["datasets.riddles"] == "CC0"


@pytest.mark.parametrize(
    ("remove", "said"),
    [
        ("results/mini/models/weak", "models/weak: not there; run the experiment before"),
        ("step_store/*/arith.test", "holds no steps of pair.weak; run the experiment before"),
        ("step_store/prms", "prm-verifier: the step store keeps no copy of it"),
        ("step_store/problems", r"problems/\w+: not there, .*--forcerun prepare_dataset"),
    ],
)
def test_what_the_store_lacks_of_the_experiment_is_named(root: Path, remove: str, said: str) -> None:
    for folder in root.glob(remove):
        shutil.rmtree(folder)
    with pytest.raises(InputError, match=said):
        exported(root, "other")
    assert not (root / "other").exists()


def test_too_much_and_a_folder_of_something_else_are_refused(root: Path) -> None:
    with pytest.raises(InputError, match=r"mini would take 0\.0 MB, more than 0\.001; allow more with --most"):
        export_store([], root / "archive", {}, 1000, root)
    with pytest.raises(InputError, match=r"holds \w.*, which is no part of an archive; name another folder"):
        export_store([], root, {}, 10_000_000, root)
    exported(root)  # in place of the one before
    assert (root / "config.yaml").is_file()


# --- damage -----------------------------------------------------------------------------


@pytest.fixture
def cut(archive: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive of several parts."""
    whole = read_archive(archive)
    monkeypatch.setattr(parts, "PART_BYTES", 5000)
    write_archive(whole.manifest, whole.files, "", archive)
    assert len(list(archive.glob("part-*"))) > 2
    return archive


def mistake(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace('"sha256": "', '"sha256": "0', 1), encoding="utf-8")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: flip(folder / "part-001"), r"part-001: .*its checksum is another one"),
        (lambda folder: (folder / "part-001").unlink(), r"part-001: .*it is missing"),
        (lambda folder: (folder / "part-000").write_bytes(b""), r"part-000: .*0 bytes instead of 5000"),
        (lambda folder: shutil.copy(folder / "part-000", folder / "part-9"), r"part-9: .*does not name it"),
        (lambda folder: mistake(folder / "croissant.json"), r"croissant\.json: .*other files or checksums"),
        (lambda folder: flip(folder / "manifest.json"), r"manifest\.json: the archive is not the one"),
        (lambda folder: (folder / "manifest.json").unlink(), "no such file, so that no archive is there"),
    ],
)
def test_damage_of_an_archive_is_one_sentence_and_nothing_is_written(
    cut: Path, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    damage(cut)
    for command in (["import", str(cut), "--step-store", str(tmp_path / "store")], ["verify", str(cut)]):
        result = CliRunner().invoke(app, ["store", *command])
        assert result.exit_code == 1 and result.output.count("\n") == 1
        assert re.search(said, result.output)
    assert not (tmp_path / "store").exists()


def test_verification_reads_what_checksums_do_not_tell(archive: Path) -> None:
    found = read_archive(archive)
    held = found.manifest.held[0].model_copy(update={"entries": 51})
    manifest = found.manifest.model_copy(update={"held": (held,)})
    write_archive(manifest, found.files, "", archive)
    with pytest.raises(InputError, match="holds 50 steps of pair.weak on arith.test, not 51 as its manifest says"):
        verify_archive(archive)


# --- the commands -----------------------------------------------------------------------


def test_the_commands_export_verify_and_import(root: Path) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["store", *arguments])
        assert result.exit_code == 0, result.output
        return result.output

    assert "archive: exported" in run("export", "archive", "--most", "1")
    assert "archive: whole and sound" in run("verify", "archive")
    assert "files of mini are new" in run("import", "archive", "--step-store", "elsewhere")
    assert "elsewhere: 0 of" in run("import", "archive", "--step-store", "elsewhere")
    result = CliRunner().invoke(app, ["store", "export", "archive", "--licence", "MIT"])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert "--licence MIT: write key=licence" in result.output


def test_a_replay_takes_the_archive_of_its_own_experiment_alone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "more.yaml").write_text("step_store: elsewhere", encoding="utf-8")
    import_replay(root, "archive", ["more.yaml"])
    said = capsys.readouterr().out
    assert "files were not in elsewhere yet" in said and "steps may be missing" not in said
    (root / "more.yaml").write_text("max_steps: 3", encoding="utf-8")
    import_replay(root, "archive", ["more.yaml"])
    assert "the config is not the one that archive was made with: steps may be missing" in capsys.readouterr().out
    (root / "more.yaml").write_text("experiment: other", encoding="utf-8")
    with pytest.raises(RunError, match="archive: an archive of mini, but the config is that of other; name its own"):
        import_replay(root, "archive", ["more.yaml"])
