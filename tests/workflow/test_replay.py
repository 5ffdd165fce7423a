"""The same tables again, from an archive without a model."""

import re
import shutil
from pathlib import Path

import pytest
from smoke import RESULTS, contents, overlay_of, snakemake, tables

from trim.archive.export import export_store, verify_archive
from trim.archive.parts import import_archive
from trim.files import read_json

MISSES = re.compile(r"step store: \{'hits': (\d+), 'misses': (\d+), 'conflicts': (\d+)\}")


def store_counts(tree: Path) -> list[tuple[int, ...]]:
    """(hits, misses, conflicts) of every partition that a job opened."""
    logs = (tree / RESULTS / "logs").rglob("*.log")
    return [tuple(map(int, found)) for log in logs for found in MISSES.findall(log.read_text(encoding="utf-8"))]


@pytest.mark.slow
def test_from_an_archive_no_model_is_called_and_no_file_read_however_the_work_is_split(
    smoke_run: Path, smoke_copy: Path
) -> None:
    source, manifest = smoke_copy / "riddles.jsonl", RESULTS / "problems/riddles/manifest.json"
    source.write_text('{"problem": "What has 3 legs and one?", "answer": "4"}\n', encoding="utf-8")
    riddles = {"source": "jsonl", "layout": "math", "path": source.name, "licence": "our own"}
    changes: dict[str, object] = {"datasets": {"riddles": riddles}}
    snakemake(smoke_copy, targets=(manifest,), changes=changes)
    prepared = read_json(smoke_copy / manifest)
    overlays = [Path("config/smoke.yaml"), overlay_of(smoke_copy, changes)]
    archive = smoke_copy / "archive"
    export_store([smoke_copy / overlay for overlay in overlays], archive, {}, 10_000_000, smoke_copy)
    assert verify_archive(archive).experiment == "smoke"

    source.unlink()
    shutil.rmtree(smoke_copy / "step_store")
    shutil.rmtree(smoke_copy / manifest.parent)
    for room in ("rollouts", "scores", "trees", "routers", "episodes", "tables", "logs"):
        shutil.rmtree(smoke_copy / RESULTS / room)
    import_archive(archive, smoke_copy / "elsewhere")
    before = contents(smoke_copy / "elsewhere")
    changes |= {"offline": True, "step_store": "elsewhere"}
    snakemake(smoke_copy, "--set-scatter", "shard=3", targets=("tables", manifest), changes=changes, cores=1)
    assert tables(smoke_copy) == tables(smoke_run)
    assert read_json(smoke_copy / manifest) == prepared | {"provenance": read_json(smoke_copy / manifest)["provenance"]}
    assert contents(smoke_copy / "elsewhere") == before
    counts = store_counts(smoke_copy)
    assert sum(hits for hits, _, _ in counts) > 1000
    assert {(misses, conflicts) for _, misses, conflicts in counts} == {(0, 0)}
