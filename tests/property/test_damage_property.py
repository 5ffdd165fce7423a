"""Whatever befalls a file that the workflow wrote, it is named when it is read, and never believed."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pomdp_models import random_model

from trim.archive.parts import Manifest, read_archive, write_archive
from trim.checksums import MARK
from trim.errors import TrimError
from trim.files import read_csv, read_json, read_parquet, write_csv, write_json, write_parquet
from trim.layouts import EPISODES
from trim.models.fingerprint import fingerprint_model
from trim.models.joining import join_segments
from trim.models.kept import Kept
from trim.models.protocols import FinishReason, Score, Step
from trim.models.served.golden import GoldenFile, GoldenSolution, golden_solutions
from trim.models.served.spending import Ledger
from trim.models.store import SCORES, STEPS, Partition
from trim.problems.problem import Problem, read_problems, write_problems
from trim.routers.fitted_q.disk import Gains, load_gains, save_gains
from trim.routers.fitted_q.features import Basis
from trim.routers.learned.agg import AggPolicy
from trim.routers.learned.disk import load_policies, save_policies
from trim.routers.learned.features import AggregateEncoder, Scale, SequenceEncoder
from trim.routers.pomdp.disk import SolvedPomdp, load_solved, save_solved
from trim.routers.pomdp.solver import solve
from trim.routers.query_level import disk as query_disk
from trim.routers.query_level.frugal import Frugal
from trim.routers.threshold import FittedThresholds
from trim.routers.threshold import load as load_thresholds

INPUTS = max(250, int(os.environ.get("TRIM_TEST_INPUTS", "0")))
"""Damages tried on each file."""


def policies(folder: Path) -> list[Any]:
    """Two trained policies of TRIM-Agg, as far as a reader can tell."""
    return [
        (policy.kappa, [layer.weight.tolist() for layer in policy.layers])
        for policy in load_policies(folder)
        if isinstance(policy, AggPolicy)
    ]


def write_policies(folder: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = {"0.weight": (8, 5), "0.bias": (8,), "1.weight": (2, 8), "1.bias": (2,)}
    network = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    encoder = AggregateEncoder(Scale({"score": 0.5}, {"score": 0.2}), conditioned=True)
    save_policies(folder, "trim-agg", encoder, {"activation": "tanh"}, [network], [(0.5, 0), (0.7, 0)], {"seed": 3})


def write_sequence_policies(folder: Path) -> None:
    from torch import nn

    from trim.routers.learned.seq import SequenceNetwork

    modules = {"network": SequenceNetwork(2, 6, 8, 1, 2), "actor": nn.Linear(8, 2)}
    network = {f"{name}.{key}": v.numpy() for name, part in modules.items() for key, v in part.state_dict().items()}
    encoder = SequenceEncoder(Scale({}, {}), conditioned=True, max_steps=6)
    save_policies(folder, "trim-seq", encoder, {"width": 8, "layers": 1, "heads": 2}, [network], [(0.5, 0)], {})


def write_pomdp(folder: Path) -> None:
    model = random_model(np.random.default_rng(0), bins=4, steps=4)
    solution = solve(model, [0.01, 0.04], 20)
    save_solved(folder, SolvedPomdp(model, np.array([0.4, 1.6]), solution.costs, solution.upper, solution.gap, {}))


def write_gains(folder: Path) -> None:
    basis = Basis(np.zeros(2), np.ones(2), np.ones((2, 3)), np.zeros(3))
    save_gains(folder, Gains(basis, np.array([0.5, 1.0]), np.ones((6, 2))), [0.6, 0.7], {"seed": 3})


def episodes() -> pd.DataFrame:
    values = {"text": "a é b", "whole": 3, "number": 0.25, "truth": True}
    return pd.DataFrame({name: [values[column.kind]] * 40 for name, column in EPISODES.items()})


def partition_content(folder: Path, codec: Any) -> list[Any]:
    partition = Partition(folder, codec, "a model")
    return [partition.get(bytes([i]) * 16) for i in range(20)]


def write_partition(folder: Path, codec: Any) -> None:
    partition = Partition(folder, codec, "a model")
    for i in range(20):
        step = Step(f"step {i} ½\n\n", (i, 7), i, FinishReason.SEPARATOR)
        partition.put(bytes([i]) * 16, Score(i / 20, i) if codec is SCORES else step)
    partition.flush()


def spent(folder: Path) -> tuple[int, int]:
    from trim.config.serving import Price

    price = Price(input_per_million=1, output_per_million=1, max_cost=1e6, max_tokens=10**9)
    return Ledger(folder, price)._look()


def write_ledger(folder: Path) -> None:
    from trim.config.serving import Price

    ledger = Ledger(folder, Price(input_per_million=1, output_per_million=1, max_cost=1e6, max_tokens=10**9))
    for i in range(5):
        ledger._pay(100 + i, 20 * i)
    (own,) = folder.glob("*.jsonl")
    own.rename(folder / "ledger.jsonl")


def write_golden(path: Path) -> None:
    solution = GoldenSolution(problem="1+1", steps=("2\n\n",), scores=(0.75,))
    write_json(GoldenFile(model="prm", solutions=(solution,)).model_dump(mode="json"), path)


def read_golden(path: Path) -> Any:
    from trim.config.models import ServedPRM

    return golden_solutions(ServedPRM(name="prm", golden=str(path)), path)


def write_model(folder: Path) -> None:
    from trim.checksums import sum_folder

    folder.mkdir()
    (folder / "model.safetensors").write_bytes(np.random.default_rng(0).bytes(2000))
    (folder / "prm.json").write_text('{"kind": "likelihood"}')
    sum_folder(folder)


def write_all(root: Path) -> None:
    """Write one file of each kind that is read back."""
    write_json({"a": [1, 2.5, "ü"], "provenance": {"seed": 3}}, root / "a.json")
    write_parquet(episodes(), root / "episodes.parquet", {"seed": 3})
    write_csv(pd.DataFrame({"name": ["a", "b"], "value": [1.5, 2]}), root / "table.csv")
    write_problems([Problem(f"p-{i}", "mine", f"{i}+1?", f"{i + 1}", f"f{i}") for i in range(2)], root / "p.jsonl")
    FittedThresholds("trim-thr", "default", [0.25, 0.5]).save(root / "default.0", {})
    write_policies(root / "agg")
    write_sequence_policies(root / "seq")
    write_pomdp(root / "pomdp")
    write_gains(root / "gains")
    space = query_disk.Space(np.zeros(3), np.ones(3))
    frugal = Frugal(weights=np.arange(5.0))
    query_disk.save_policies(root / "query", [query_disk.Policy("frugal", "default", frugal, [0.5])], space, {})
    write_golden(root / "golden.json")
    write_ledger(root / "spending")
    write_model(root / "model")
    Kept(root).keep("prms", {"seed": 3}, root / "model")
    write_an_archive(root)
    write_joined(root / "joined")
    for name, codec in (("steps", STEPS), ("scores", SCORES)):
        write_partition(root / name, codec)


def write_joined(folder: Path) -> None:
    """A segment that was joined of three."""
    for i in range(3):
        partition = Partition(folder, STEPS, "a model")
        for j in range(i, 20, 3):
            partition.put(bytes([j]) * 16, Step(f"step {j} ½\n\n", (j, 7), j, FinishReason.SEPARATOR))
        partition.flush()
    join_segments(folder, STEPS, "a model")


def restored(root: Path) -> dict[str, bytes]:
    """What a kept PRM holds, as it comes back."""
    with TemporaryDirectory() as folder:
        assert Kept(root).restore("prms", {"seed": 3}, Path(folder))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


KEPT = f"prms/{Kept(Path()).place('prms', {'seed': 3}).name}"


def write_an_archive(root: Path) -> None:
    files = {"0123456789abcdef/part/a.parquet": np.random.default_rng(0).bytes(3000), "prms/a/b.json": b"{}"}
    manifest = Manifest(experiment="mini", made_by="x", provenance={}, config={}, licences={}, held=())
    write_archive(manifest, files, "", root / "archive")


def read_query(folder: Path) -> Any:
    loaded, _ = query_disk.load_policies(folder)
    return [(policy.fitted.weights.tolist(), policy.thresholds) for policy in loaded]  # type: ignore[attr-defined]


def read_sequences(folder: Path) -> Any:
    states = [policy.network.state_dict() for policy in load_policies(folder)]  # type: ignore[union-attr]
    return [value.tolist() for state in states for value in state.values()]


READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "a.json": ("", lambda root: read_json(root / "a.json")),
    "episodes.parquet": ("", lambda root: read_parquet(root / "episodes.parquet", EPISODES)),
    "table.csv": ("", lambda root: read_csv(root / "table.csv")),
    ".table.csv.sha256": ("", lambda root: read_csv(root / "table.csv")),
    "p.jsonl": ("", lambda root: read_problems(root / "p.jsonl")),
    "thresholds.json": ("default.0", lambda folder: load_thresholds("trim-thr", folder)),
    "agg/policy.json": ("agg", policies),
    "agg/policy.safetensors": ("agg", policies),
    "seq/policy.json": ("seq", read_sequences),
    "seq/policy.safetensors": ("seq", read_sequences),
    "solved.npz": ("pomdp", lambda folder: load_solved(folder).values.tolist()),
    "gains.json": ("gains", lambda folder: load_gains(folder)[1]),
    "gains.safetensors": ("gains", lambda folder: load_gains(folder)[0].weights.tolist()),
    "policies.json": ("query", read_query),
    "policies.safetensors": ("query", read_query),
    "golden.json": ("", lambda root: read_golden(root / "golden.json")),
    "ledger.jsonl": ("spending", spent),
    "model.safetensors": ("model", lambda folder: fingerprint_model(str(folder), None)),
    "prm.json": ("model", lambda folder: fingerprint_model(str(folder), None)),
    "SHA256SUMS": ("model", lambda folder: fingerprint_model(str(folder), None)),
    "kept/model.safetensors": (KEPT, lambda folder: restored(folder.parents[1])),
    "kept/SHA256SUMS": (KEPT, lambda folder: restored(folder.parents[1])),
    "kept/identity.json": (KEPT, lambda folder: restored(folder.parents[1])),
    "part-000": ("archive", lambda folder: read_archive(folder).files),
    "manifest.json": ("archive", lambda folder: read_archive(folder).files),
    "joined": ("joined", lambda folder: partition_content(folder, STEPS)),
    "steps": ("steps", lambda folder: partition_content(folder, STEPS)),
    "scores": ("scores", lambda folder: partition_content(folder, SCORES)),
}
"""By file (or, where its name is not known before, folder): the folder it is read from, and what reads it."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    write_all(folder)
    return folder


def found_in(root: Path, kind: str) -> tuple[Path, Callable[[], Any]]:
    """Return a file, and what reads it."""
    folder, read = READERS[kind]
    if kind in ("steps", "scores", "joined"):
        (path,) = (root / folder).glob("*.parquet")
    else:
        path = root / folder / Path(kind).name
    return path, partial(read, root / folder)


def damaged(whole: bytes, how: str, where: float, bit: int) -> bytes:
    at = min(int(where * len(whole)), len(whole) - 1)
    match how:
        case "flip":
            return whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :]
        case "cut":
            return whole[:at]
        case "zero":
            return whole[:at] + bytes(min(64, len(whole) - at)) + whole[at + 64 :]
        case _:
            return whole[:at] + whole[at : at + 16] + whole[at:]


@pytest.mark.parametrize("kind", ["steps", "scores"])
def test_no_segment_is_believed_whose_checksum_is_overwritten(root: Path, kind: str) -> None:
    path, read = found_in(root, kind)
    whole = path.read_bytes()
    mark = whole.rfind(MARK)
    try:
        for at in range(mark - 64, mark + 128):
            path.write_bytes(whole[:at] + bytes(64) + whole[at + 64 :])
            with pytest.raises(TrimError):
                read()
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_file_is_named_and_never_believed(root: Path, kind: str) -> None:
    path, read = found_in(root, kind)
    whole, known = path.read_bytes(), read()

    @settings(max_examples=INPUTS, database=None)
    @given(st.sampled_from(["flip", "flip", "cut", "zero", "repeat"]), st.floats(0, 1), st.integers(0, 7))
    def check(how: str, where: float, bit: int) -> None:
        content = damaged(whole, how, where, bit)
        if kind == "ledger.jsonl" and not content.endswith(b"\n"):
            return  # half a line is what a killed job leaves
        path.write_bytes(content)
        try:
            found = read()
        except TrimError as error:
            assert path.name.strip(".").removesuffix(".sha256") in str(error)
            assert "\n" not in str(error)
        else:
            same = found.equals(known) if isinstance(known, pd.DataFrame) else found == known
            assert same or (kind == "ledger.jsonl" and len(content) < len(whole)), "believed"

    try:
        check()
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("kind", READERS)
def test_a_file_is_read_as_it_was_written(root: Path, kind: str) -> None:
    _, read = found_in(root, kind)
    first, second = read(), read()
    assert first.equals(second) if isinstance(first, pd.DataFrame) else first == second
