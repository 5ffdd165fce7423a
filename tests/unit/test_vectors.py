"""Vectors of a frozen encoder in the step store: each text is read once, and a replay needs no encoder."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist

from trim.arrays import Singles
from trim.config.models import GgufModel, PretrainedModel
from trim.errors import BackendError, DamagedFile, StoreError
from trim.models.encoder import Encoder, RaggedEncoder
from trim.models.store import MissingEntries, StepStore
from trim.models.vectors import StoredVectors, identify_encoder, load_frozen
from trim.problems.problem import Problem
from trim.routers.query_level.fit import GENERATORS, embed_solutions, turned

TEXTS = ["5 a+1?", "7 b*9 c-2?", "1?"]


class Counting:
    """Makes vectors of five numbers of a text, and remembers which texts it read."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def embed(self, texts: Sequence[str]) -> Singles:
        self.read += texts
        return np.array([[len(text), 1 / 3, 0, i, ord(text[0])] for i, text in enumerate(texts)], dtype=np.float32)


@pytest.fixture
def open_store(tmp_path: Path) -> Callable[..., tuple[StoredVectors, Counting]]:
    def opened(part: str = "exam.test", offline: bool = False, who: str = "me") -> tuple[StoredVectors, Counting]:
        encoder = Counting()
        return StoredVectors(StepStore(tmp_path, part, offline), who, lambda: encoder), encoder

    return opened


Open = Callable[..., tuple[StoredVectors, Counting]]


def test_a_text_is_read_once_and_comes_back_as_it_was_rounded(open_store: Open) -> None:
    vectors, encoder = open_store()
    first = vectors.embed([*TEXTS[:2], TEXTS[0]])
    assert encoder.read == TEXTS[:2]
    np.testing.assert_array_equal(first[0], first[2])
    assert first[0, 1] == np.float16(1 / 3) != np.float32(1 / 3)  # what the replay will read
    again, encoder = open_store()
    np.testing.assert_array_equal(again.embed([TEXTS[1], TEXTS[2], TEXTS[0]])[[2, 0]], first[:2])
    assert encoder.read == [TEXTS[2]]
    replay, encoder = open_store(offline=True)
    np.testing.assert_array_equal(replay.embed(TEXTS)[:2], first[:2])
    assert encoder.read == []


def test_offline_a_missing_vector_is_one_sentence_and_nothing_is_written(open_store: Open, tmp_path: Path) -> None:
    vectors, encoder = open_store(offline=True)
    with pytest.raises(MissingEntries, match=r"exam.test.npz: vectors of 3 texts are missing, .* `offline: false`$"):
        vectors.embed(TEXTS)
    with pytest.raises(MissingEntries, match="offline: true"):
        vectors.remember(TEXTS, lambda reader: reader.embed(TEXTS))
    assert encoder.read == []
    assert not list(tmp_path.iterdir())


def test_what_is_computed_of_texts_together_is_kept_too(open_store: Open) -> None:
    vectors, encoder = open_store()
    found = vectors.remember(TEXTS, lambda reader: reader.embed(TEXTS).mean(axis=0))
    assert (found.shape, encoder.read) == ((5,), TEXTS)
    replay, encoder = open_store(offline=True)
    np.testing.assert_array_equal(replay.remember(TEXTS, lambda reader: reader.embed(TEXTS)), found)
    with pytest.raises(MissingEntries):  # the same texts in another order are others
        replay.remember(TEXTS[::-1], lambda reader: reader.embed(TEXTS))
    assert encoder.read == []


def test_parts_and_encoders_have_files_of_their_own(open_store: Open, tmp_path: Path) -> None:
    for part, who in (("exam.test", "me"), ("exam.dev", "me"), ("exam.test", "you")):
        vectors, encoder = open_store(part, who=who)
        vectors.embed(TEXTS)
        assert encoder.read == TEXTS
    files = sorted(tmp_path.rglob("*.npz"))
    assert [file.name for file in files].count("exam.test.npz") == 2
    named = {json.loads(file.read_text())["identity"] for file in tmp_path.rglob("identity.json")}
    assert named == {"me", "you"}
    mine, _ = open_store()
    yours = next(file for file in files if file.parent != mine.folder)
    (mine.folder / "exam.test.npz").write_bytes(yours.read_bytes())
    with pytest.raises(StoreError, match=r"exam.test.npz: vectors of another encoder; move the file back"):
        mine.embed(TEXTS)


def test_damage_is_found(open_store: Open) -> None:
    vectors, _ = open_store()
    vectors.embed(TEXTS)
    file = vectors.folder / "exam.test.npz"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedFile, match=r"exam.test.npz: not what this workflow wrote .* delete it and run again"):
        vectors.embed(TEXTS)


def test_a_number_too_large_for_half_precision_is_refused(tmp_path: Path) -> None:
    class Wild:
        def embed(self, texts: Sequence[str]) -> Singles:
            return np.full((len(texts), 2), 1e6, dtype=np.float32)

    with pytest.raises(BackendError, match="half-precision"):
        StoredVectors(StepStore(tmp_path, "exam.test"), "me", Wild).embed(TEXTS)
    assert not list(tmp_path.rglob("*.npz"))


def test_an_encoder_is_known_by_what_it_is(model_folders: dict[str, Path], tmp_path: Path) -> None:
    folder = PretrainedModel(name=str(model_folders["weak"]))
    link = tmp_path / "elsewhere"
    link.symlink_to(model_folders["weak"])
    gguf = GgufModel(file="a.gguf", sha256="0" * 64)
    hub = PretrainedModel(name="some/encoder", revision="abc")
    known = [identify_encoder(spec) for spec in (folder, gguf, hub)]
    assert identify_encoder(PretrainedModel(name=str(link))) == known[0]
    assert identify_encoder(gguf.model_copy(update={"file": "b.gguf", "repository": "some/files"})) == known[1]
    assert ("0" * 64 in known[1], "some/encoder@abc" in known[2]) == (True, True)
    others = [
        PretrainedModel(name=str(model_folders["strong"])),
        folder.model_copy(update={"dtype": "bfloat16"}),
        gguf.model_copy(update={"sha256": "1" * 64}),
        hub.model_copy(update={"revision": "abd"}),
    ]
    assert len({*known, *map(identify_encoder, others)}) == 7


def test_a_real_model_is_read_without_padding_as_with_it(model_folders: dict[str, Path], tmp_path: Path) -> None:
    name, store = str(model_folders["weak"]), StepStore(tmp_path, "exam.test")
    plain = load_frozen(PretrainedModel(name=name), store, "cpu")
    ragged = load_frozen(PretrainedModel(name=name, dtype="bfloat16"), store, "cpu")
    assert (type(plain), type(ragged)) == (Encoder, RaggedEncoder)
    texts = [*TEXTS, *(f"{i} a*9 b+{i}?" for i in range(200))]  # more than one pass
    found, expected = ragged.embed(texts), plain.embed(texts)
    assert found.shape == expected.shape
    apart = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected - expected.mean(0), axis=1)
    assert np.median(apart) < 0.1  # bf16 has three digits, and the weights are wild
    wrong = np.linalg.norm(found[::-1] - expected, axis=1)
    assert np.median(wrong) > 5 * np.median(np.linalg.norm(found - expected, axis=1))


# --- solutions of the training problems --------------------------------------------------


@pytest.mark.parametrize("width", [4, 40])
def test_turned_solutions_lie_as_far_apart(width: int) -> None:
    solutions = np.random.default_rng(2).normal(size=(3, 5, 2, width))
    found = turned(solutions)
    assert found.shape == (3, 5, 2, min(6, width))
    for i in range(5):
        np.testing.assert_allclose(pdist(found[:, i].reshape(6, -1)), pdist(solutions[:, i].reshape(6, -1)), rtol=1e-9)


def test_solutions_behind_the_store_have_the_distances_of_the_encoder(open_store: Open) -> None:
    problems = [Problem(f"p-{i}", "exam", f"{i}?", "1", f"{i}") for i in range(4)]
    rows = [
        {"behaviour": name, "problem_id": problem.id, "replicate": r, "text": f"{k}{problem.id * (k + r)}"}
        for k, name in enumerate(GENERATORS)
        for problem in problems
        for r in (0, 1)
    ]
    rollouts = pd.DataFrame(rows)
    plain = embed_solutions(rollouts, problems, Counting())
    vectors, encoder = open_store("exam.router_train")
    stored = embed_solutions(rollouts, problems, vectors)
    assert stored.shape == (3, 4, 2, 5)
    for i in range(4):
        np.testing.assert_allclose(pdist(stored[:, i].reshape(6, -1)), pdist(plain[:, i].reshape(6, -1)), atol=0.02)
    replay, encoder = open_store("exam.router_train", offline=True)
    np.testing.assert_array_equal(embed_solutions(rollouts, problems, replay), stored)
    assert encoder.read == []
