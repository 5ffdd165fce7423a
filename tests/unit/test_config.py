"""The config: what is wrong with it is said in one sentence; what is generated from it is in step."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.utils import update_config
from typer.testing import CliRunner

from trim.cli import app
from trim.config import Experiment, Sampling, config_hash, parse_config
from trim.config_files import GENERATED, render_config, stale_files, write_files
from trim.errors import ConfigError

REPOSITORY = Path(__file__).parents[2]
BASE = yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))
OVERLAYS = sorted((REPOSITORY / "config").glob("*.yaml"))


def with_overlay(text: str) -> dict[str, Any]:
    content = copy.deepcopy(BASE)
    update_config(content, yaml.safe_load(text) or {})
    return content


def test_the_default_file_is_the_default_experiment() -> None:
    assert parse_config(BASE) == Experiment()
    assert parse_config({}) == Experiment()


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_every_overlay_is_valid(overlay: Path) -> None:
    experiment = parse_config(with_overlay(overlay.read_text(encoding="utf-8")))
    assert experiment != Experiment()
    assert experiment.experiment != Experiment().experiment  # or it would overwrite the default's results


def test_there_are_overlays() -> None:
    assert OVERLAYS


@pytest.mark.parametrize(
    ("overlay", "sentence"),
    [
        ("tresholds: 3", "unknown key 'tresholds'; remove it, or see docs/configuration.md for the keys there are"),
        ("sampling: {temprature: 1}", "unknown key 'sampling.temprature'"),
        ("pair: {weak: {architecture: {depth: 2}}}", "unknown key 'pair.weak.architecture.depth'"),
        ("prms: {verifier: {steps: 3}}", "unknown key 'prms.verifier.steps'"),
        ("prms: {classifier: {steps: 3}}", "unknown key 'prms.classifier.steps'"),  # named like its kind
        ("datasets: {arith: {sizes: {train: 3}}}", "unknown key 'datasets.arith.sizes.train'"),
        ("datasets: {more: {source: jsonl, layout: aime}}", "key 'datasets.more.path' is missing"),
        ("datasets: {more: {layout: aime, path: a}}", "datasets.more: .*'source'"),
        ("datasets: {more: {source: jsonl, path: a, layout: mmlu}}", "datasets.more.layout: .*'math500'"),
        ("datasets: {arith: {min_steps: 9}}", "datasets.arith: min_steps is greater than max_steps"),
        ("datasets: {arith: {sizes: {test: 0}}}", "datasets.arith.sizes.test is 0, but arith is evaluated"),
        ("evaluated_on: [arith, algebra]", "evaluated_on names 'algebra', which is not under datasets: arith, .*"),
        ("training_mix: {algebra: 1.0}", "training_mix names 'algebra'"),
        ("routers: {trained_on: [algebra]}", "routers.trained_on names 'algebra'"),
        ("pair: {home: algebra}", "pair.home names 'algebra'"),
        ("pair: {prm: judge}", "PRM 'judge' is not under prms: verifier, .*"),
        ("reported_prms: [judge]", "PRM 'judge' is not under prms"),
        ("pair: {strong: {kind: rented}}", "pair.strong: .*'rented'"),
        ("sampling: {top_p: 0}", "sampling.top_p: .*greater than 0"),
        ("max_steps: none", "max_steps: .*integer"),
        ("routers: {random_shares: [0.1, 2]}", "routers.random_shares.1: .*less than or equal to 1"),
        ("routers: {variants: [hulk]}", "routers.variants.0: .*'hull'"),
        ("routers: {query: {baselines: [gpt]}}", "routers.query.baselines.0: .*'best-route'"),
        ("routers: {query: {baselines: []}}", "routers.query.baselines: .*at least 1 item"),
        ("experiment: a/b", "experiment: .*pattern"),
        ("sampling: 3", "sampling: .*dictionary"),
    ],
)
def test_what_is_wrong_is_named(overlay: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=rf"^config: {sentence}[^\n]*$"):
        parse_config(with_overlay(overlay))


def test_all_wrong_keys_are_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"seed: .*; unknown key 'one'"):
        parse_config({"one": 1, "seed": -1})


def test_a_config_does_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Experiment().seed = 3  # type: ignore[misc]


def test_the_hash_is_that_of_the_content() -> None:
    assert config_hash(Experiment()) == config_hash(parse_config(BASE))
    assert config_hash(Sampling()) == config_hash(dict(reversed(Sampling().model_dump().items())))
    assert config_hash(Sampling()) != config_hash(Sampling(top_k=21))
    assert len(config_hash({})) == 12


# --- generated files --------------------------------------------------------------------


def test_generated_files_are_in_step() -> None:
    assert stale_files(REPOSITORY) == []


def test_a_file_out_of_step_is_named(tmp_path: Path) -> None:
    assert stale_files(tmp_path) == list(GENERATED)
    write_files(tmp_path)
    assert stale_files(tmp_path) == []
    schema = tmp_path / "docs" / "config.schema.json"
    schema.write_text(schema.read_text() + " ")
    assert stale_files(tmp_path) == [Path("docs/config.schema.json")]


def test_every_key_is_explained() -> None:
    def check(section: type) -> None:
        for name, field in section.model_fields.items():
            if name not in ("source", "kind"):
                assert field.description, f"{section.__name__}.{name}"
            if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields"):
                check(field.annotation)

    check(Experiment)
    lines = render_config().splitlines()
    assert "seed: 2026" in lines
    assert "# root of every random seed" in lines


# --- the command ------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trim_config(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["config", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def check(checkout: Path, overlay: str) -> tuple[int, str]:
    (checkout / "mine.yaml").write_text(overlay)
    return trim_config("--check", "mine.yaml")


def test_a_valid_overlay_passes(checkout: Path) -> None:
    code, output = check(checkout, "experiment: mine\nsampling: {top_k: 5}")
    assert (code, output.startswith("mine: config ")) == (0, True)
    assert trim_config()[0] == 0
    assert check(checkout, "")[0] == 0


@pytest.mark.parametrize(
    ("overlay", "sentence"),
    [
        ("sampling: {temprature: 1}", "unknown key 'sampling.temprature'"),
        ("[1, 2]", "mine.yaml: expected keys with values, found a list"),
        ("a: [", "mine.yaml: not valid YAML (line 1)"),
    ],
)
def test_a_wrong_overlay_is_refused_without_a_traceback(checkout: Path, overlay: str, sentence: str) -> None:
    code, output = check(checkout, overlay)
    assert code == 1
    assert sentence in output
    assert output.count("\n") == 1


def test_an_overlay_that_is_not_there_is_refused(checkout: Path) -> None:
    code, output = trim_config("--check", "none.yaml")
    assert (code, "none.yaml" in output) == (1, True)


def test_files_out_of_step_are_refused_until_written(checkout: Path) -> None:
    (checkout / "docs" / "configuration.md").write_text("mine")
    code, output = trim_config()
    assert (code, "out of date: docs/configuration.md; run `trim config --write`" in output) == (1, True)
    assert trim_config("--write")[0] == 0
    assert stale_files(checkout) == []
