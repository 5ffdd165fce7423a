"""What somebody gets who misuses the commands around a deployed router: one sentence, and an exit status."""

import socket
from pathlib import Path

import pytest
from deployed import manifest
from typer.testing import CliRunner

from trim.cli import app
from trim.config.models import PretrainedModel
from trim.deploy.manifest import Deployed, write_manifest

FILES = {
    "broken.json": b"{",
    "foreign.json": b'{"a": 1}',
    "latin.json": b"\xff\xfe",
    "short.parquet": b"no",
    "empty.csv": b"",
    "note.txt": b"x",
    "store/model/identity.json": b"{",
    "damaged/model/identity.json": b'{"identity": "m"}',
    "damaged/model/part/segment.parquet": b"no",
    "router/router.json": b"{",
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sentence(*arguments: str, status: int = 1) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == status and (done.exception is None or isinstance(done.exception, SystemExit))
    return " ".join(done.output.split())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nowhere", "nowhere: does not exist; check the path"),
        ("broken.json", "broken.json: no JSON of ours"),
        ("foreign.json", "foreign.json: no JSON of ours (it has no checksum); name another file"),
        ("latin.json", "latin.json: no JSON of ours"),
        ("short.parquet", "short.parquet: no Parquet file, or not all of one"),
        ("empty.csv", "empty.csv: no CSV"),
        ("note.txt", "note.txt: no deployed router, fitted router, step store"),
        ("store", "identity.json: does not say which model this is"),
        ("damaged", "segment.parquet: no Parquet file, or not all of one"),
        ("router", "router.json: not a manifest"),
    ],
)
def test_what_cannot_be_looked_into_is_named(place: Path, name: str, expected: str) -> None:
    assert expected in sentence("inspect", name)


def test_a_table_is_looked_into(place: Path) -> None:
    (place / "main.csv").write_text("router,accuracy\ntrim-thr,0.5\n", encoding="utf-8")
    assert sentence("inspect", "main.csv", status=0) == "1 rows: router, accuracy"


def test_a_review_has_somebody_behind_it(place: Path) -> None:
    for role in ("weak", "strong"):
        (place / "mine" / role).mkdir(parents=True)
    models = {role: PretrainedModel(name=f"./{role}") for role in ("weak", "strong")}
    write_manifest(Deployed(manifest(**models, prm=None), place / "mine"))
    for by in ("", "  "):
        assert sentence("review", "mine", "--by", by) == "--by is empty: write who looked at it"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl: no such file; name a file of problems"),
        (["note.txt", "--out", "store"], "--out store: this is a folder; name a file"),
        (["note.txt", "--layout", "x"], "--layout x: there are math"),
        (["note.txt"], "note.txt:1: not valid JSON"),
        (["{1}.jsonl"], "config: path"),
        (["note.txt", "--limit", "2000000000"], "config: limit"),
    ],
)
def test_problems_that_cannot_be_read_are_named(place: Path, arguments: list[str], expected: str) -> None:
    (place / "{1}.jsonl").write_text("{}\n", encoding="utf-8")
    write_manifest(Deployed(manifest(prm=None), place / "mine"))
    assert expected in sentence("evaluate", *arguments, "--deployed", "mine")


@pytest.mark.parametrize("option", ["--trained-on", "--check-on"])
def test_a_dataset_that_is_not_there_is_named(place: Path, option: str) -> None:
    root = Path(__file__).parents[2]
    (place / "config.yaml").write_bytes((root / "config.yaml").read_bytes())
    assert f"{option} nope: no such dataset; there are arith" in sentence(
        "calibrate", "--budget", "20%", option, "nope"
    )


def test_a_port_that_is_taken_is_named_before_anything_is_opened(place: Path) -> None:
    models = {role: PretrainedModel(name=f"./{role}") for role in ("weak", "strong")}
    write_manifest(Deployed(manifest(**models, prm=None), place / "mine"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"--port {port}: cannot listen there (Address already in use); take another" in sentence(
            "serve", "--deployed", "mine", "--port", port
        )
    assert "--host nowhere.invalid" in sentence("serve", "--deployed", "mine", "--host", "nowhere.invalid")
