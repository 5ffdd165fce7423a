"""Config files from outside: no code is run, and what cannot work is said in one sentence before anything runs."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake.utils import update_config

from trim.config.parsing import parse_config
from trim.config.reading import missing_files, read_experiment, read_overlay
from trim.errors import ConfigError

BASE = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text(encoding="utf-8"))


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "over.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- files ------------------------------------------------------------------------------


@pytest.mark.parametrize("switch", ["__use_yte__: true", "'__use_yte__': false", '"__use_yte__": true\nseed: 3'])
def test_a_config_that_holds_code_is_refused_and_nothing_of_it_runs(switch: str, tmp_path: Path) -> None:
    code = f"?open({str(tmp_path / 'ran')!r}, 'w').close(): 1"
    path = written(tmp_path, f"{switch}\n{code}\n")
    with pytest.raises(ConfigError, match="over.yaml: __use_yte__ has Snakemake run code from the file"):
        read_overlay(path)
    assert not (tmp_path / "ran").exists()


def test_a_mapping_may_take_over_the_keys_of_another(tmp_path: Path) -> None:
    path = written(tmp_path, "a: &shared {b: 1, c: 2}\nd:\n  <<: *shared\n  b: 3\n")
    assert read_overlay(path) == {"a": {"b": 1, "c": 2}, "d": {"b": 3, "c": 2}}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"seed: \xff\n", "line 1: byte 0xff is not UTF-8"),
        ("seed: 3\n".encode("utf-16"), "this is UTF-16"),
        ("{seed: 3}: 4\n", "line 1: not valid YAML: found unhashable key"),
        ("seed: 3\nseed: 4\n", "line 2: key 'seed' stands here again, first in line 1"),
        ("a:\n  b: 1\n  b: 2\n", "line 3: key 'b' stands here again"),
        ("a: &x\n  b: *x\n", "not valid YAML|nested more than"),
        ("[" * 3000, "not valid YAML"),
        ("{a: " * 30 + "1" + "}" * 30, "nested more than 20 levels"),
        ("a: [", "line 1: not valid YAML"),
        ("a:\tb\n\tc: 1", "YAML wants spaces"),
        ("- a\n", "expected keys with values, found a list"),
        ("1: a\n", "key 1 under the top is no text"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(content: str | bytes, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=sentence) as told:
        read_overlay(written(tmp_path, content))
    assert "over.yaml" in str(told.value)
    assert "\n" not in str(told.value)


def test_what_is_no_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="this is a folder"):
        read_overlay(tmp_path)
    with pytest.raises(ConfigError, match="No such file"):
        read_overlay(tmp_path / "gone.yaml")
    assert read_overlay(written(tmp_path, "")) == {}
    assert read_overlay(written(tmp_path, "\ufeffseed: 3\n")) == {"seed": 3}


@settings(max_examples=400)
@given(st.binary(max_size=60))
def test_whatever_stands_in_a_file_is_read_or_named(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = written(tmp_path_factory.getbasetemp(), b"seed: 3\n" + content)
    try:
        assert isinstance(read_overlay(path), dict)
    except ConfigError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)


def test_overlays_lie_over_each_other_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(BASE), encoding="utf-8")
    for name, text in {"a": "seed: 1\nmax_steps: 5\n", "b": "seed: 2\n"}.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    assert (read_experiment(tmp_path, [first, second]).seed, read_experiment(tmp_path, [second, first]).seed) == (2, 1)
    assert read_experiment(tmp_path, [first, second]).max_steps == 5


def test_files_that_jobs_will_need_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content = over_default({"datasets": {"mine": {"source": "jsonl", "layout": "math", "path": "mine.jsonl"}}})
    (said,) = missing_files(parse_config(content))
    assert "datasets.mine.path is mine.jsonl, which does not exist" in said
    Path("mine.jsonl").touch()
    assert list(missing_files(parse_config(content))) == []


# --- configs that cannot work -----------------------------------------------------------


def over_default(changes: dict[str, Any]) -> dict[str, Any]:
    content = copy.deepcopy(BASE)
    update_config(content, changes)
    return content


FAMILY = {"source": "arithmetic", "sizes": {"test": 3}}


@pytest.mark.parametrize(
    "changes",
    [
        {"evaluated_on": []},
        {"evaluated_on": ["arith", "arith"]},
        {"routers": {"trained_on": []}},
        {"routers": {"trained_on": ["arith", "arith"]}},
        {"routers": {"random_shares": []}},
        {"routers": {"variants": ["default", "default"]}},
        {"routers": {"query": {"baselines": ["mf", "mf"]}}},
        {"routers": {"agg": {"variants": ["conditioned", "conditioned"]}}},
        {"routers": {"seq": {"width": 30, "heads": 4}}},
        {"routers": {"operating_points": 1}},
        {"routers": {"kappa": {"lowest": float("inf")}}},
        {"reported_prms": ["classifier", "classifier"]},
        {"reported_prms": ["verifier"]},
        {"training_mix": {"arith": -1}},
        {"training_mix": {"arith": 0}},
        {"training_mix": {"arith": float("nan")}},
        {"pair": {"weak": {"accuracy_band": [0.9, 0.1]}}},
        {"pair": {"weak": {"architecture": {"hidden_size": 30, "heads": 4}}}},
        {"bootstrap": {"resamples": 1}},
        {"max_steps": True},
        {"offline": 1},
        {"prices": {"flops": {"cached": 0}}},
        {"routers": {"agg": {"ppo": {"imitation": "60"}}}},
        {"routers": {"largest_tree": True}},
        {"serving": {"servers": {"weak": {"gpus": [-1]}}}},
        {"seed": 2**70},
        {"step_store": ""},
        {"step_store": "a\0b"},
        {"step_store": "a\nb"},
        {"step_store": "a{b}"},
        {"step_store": "~/store"},
        {"datasets": {"n" * 300: FAMILY}},
        {"datasets": {"Arith": FAMILY}},
        *({"datasets": {name: FAMILY}} for name in ("by_prm", "query-level", "shards", "untrained", "a b", "a/b")),
        {"prms": {"untrained": {"kind": "noisy", "of": "verifier"}}},
    ],
    ids=str,
)
def test_a_config_that_cannot_work_is_refused_at_once(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^config: .+") as told:
        parse_config(over_default(changes))
    assert "\n" not in str(told.value)


def test_what_the_page_of_own_parts_says_is_a_whole_overlay() -> None:
    page = (Path(__file__).parents[2] / "docs/own_parts.md").read_text(encoding="utf-8")
    problems, models, _, *prms = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(prms) == 3
    for prm in prms:
        content = copy.deepcopy(BASE)
        for block in (problems, models.replace("sha256: ...", f'sha256: "{"0" * 64}"'), prm):
            update_config(content, yaml.safe_load(block))
        experiment = parse_config(content)
        assert (experiment.main_dataset, experiment.pair.prm, experiment.used_prms) == ("mine", "mine", ("mine",))


@pytest.mark.parametrize("typed", ["true", "True"])
def test_a_truth_value_may_be_typed_on_the_command_line(typed: str) -> None:
    assert parse_config(over_default({"offline": typed})).offline is True
