"""The config: what is wrong with it is said in one sentence; what is generated from it is in step."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from overlays import OVERLAYS, STACKS, completed, overlay
from snakemake.utils import update_config
from typer.testing import CliRunner

from trim.cli import app
from trim.config.datasets import ArithmeticFamily
from trim.config.experiment import Experiment, config_hash
from trim.config.models import ApiModel, PretrainedModel, Sampling, ServedModel, ServedPRM
from trim.config.parsing import RENAMED, parse_config
from trim.documents.config_pages import GENERATED, render_config, stale_files, write_files
from trim.errors import ConfigError

REPOSITORY = Path(__file__).parents[2]
BASE = yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))


def over_default(changes: dict[str, Any]) -> dict[str, Any]:
    content = copy.deepcopy(BASE)
    update_config(content, changes)
    return content


def with_overlay(text: str) -> dict[str, Any]:
    return over_default(yaml.safe_load(text) or {})


def test_the_default_file_is_the_default_experiment() -> None:
    assert parse_config(BASE) == Experiment()
    assert parse_config({}) == Experiment()


@pytest.mark.parametrize("names", STACKS, ids=" + ".join)
def test_every_overlay_is_valid(names: tuple[str, ...]) -> None:
    experiment = parse_config(over_default(completed(*names)))
    assert experiment != Experiment()
    assert experiment.experiment != Experiment().experiment  # or it would overwrite the default's results


@pytest.mark.parametrize("name", ["qwen_math.yaml", "qwen_aime.yaml", "api_math.yaml"])
def test_at_paper_scale_nothing_is_trained_but_routers(name: str) -> None:
    experiment = parse_config(over_default(completed(name)))
    assert experiment.trained == ()
    assert not [dataset for dataset in experiment.datasets.values() if isinstance(dataset, ArithmeticFamily)]
    tested = {split for name in experiment.evaluated_on for split in experiment.datasets[name].filled_splits}
    assert tested == {"test"}
    for dataset in experiment.datasets.values():  # whatever trains leaves out all that is tested
        if dataset.filled_splits - {"test"}:
            assert set(dataset.without) == set(experiment.evaluated_on)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("qwen_math.yaml", ["datasets.math: revision", "datasets.math500: revision", "processbench-gsm8k: revision"]),
        ("qwen_aime.yaml", ["datasets.aime-train: revision", "datasets.aime: revision", "olympiadbench: revision"]),
        ("api_math.yaml", ["'pair.strong.name' is missing", "'serving.endpoints.strong.url' is missing"]),
    ],
)
def test_what_only_its_user_can_say_is_asked_for(name: str, missing: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(over_default(overlay(name)))
    assert all(part in str(caught.value) for part in missing)


def test_the_encoder_of_query_level_baselines_may_stay_frozen() -> None:
    frozen = parse_config(with_overlay("routers: {query: {tuning: null}}"))
    assert frozen.routers.query.tuning is None
    assert frozen.frozen_encoder is None  # the weak model, which the pipeline trains
    assert parse_config(with_overlay("routers: {query: {bins: 3}}")).routers.query.tuning is not None
    named = with_overlay("routers: {query: {tuning: null, encoder: some/encoder, revision: abc}}")
    assert parse_config(named).frozen_encoder == PretrainedModel(name="some/encoder", revision="abc")
    content = over_default(completed("qwen_math.yaml"))
    content["routers"]["query"] |= {"tuning": None, "encoder": None}
    for weak, encoder in (
        ({"kind": "gguf", "file": "a.gguf", "sha256": "0" * 64}, None),  # as it is
        ({"kind": "pretrained", "name": "some/model", "dtype": "bfloat16"}, None),
        ({"kind": "served", "name": "some/model", "revision": "r"}, PretrainedModel(name="some/model", revision="r")),
    ):
        content["pair"]["weak"] = weak
        experiment = parse_config(content)
        assert experiment.frozen_encoder == (encoder or experiment.pair.weak)


def test_prms_are_compared_at_home_or_on_the_first_dataset_that_is_evaluated() -> None:
    assert parse_config(BASE).compared_on == "arith"
    assert parse_config(with_overlay("evaluated_on: [arith-hard]")).compared_on == "arith"  # its problems are drawn
    gsm8k = parse_config(over_default(completed("qwen_gsm8k.yaml")))
    assert gsm8k.main_dataset == "gsm8k-train" and not gsm8k.labelled("gsm8k-train")
    assert gsm8k.compared_on == "gsm8k"


def test_there_are_overlays() -> None:
    assert len(OVERLAYS) >= 4


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
        ("datasets: {more: {layout: aime, path: a}}", "key 'datasets.more.source' is missing"),
        ("datasets: {more: {source: jsonl, path: a, layout: mmlu}}", "datasets.more.layout: .*'math'"),
        ("datasets: {arith: {min_steps: 9}}", "datasets.arith: min_steps is greater than max_steps"),
        (
            "datasets: {arith-hard: {answer: all}}",
            "datasets.arith-hard asks for all results, up to 40 tokens .*: raise",
        ),
        ("datasets: {arith: {sizes: {test: 0}}}", "evaluated_on names 'arith', which has no test problems"),
        (
            "datasets: {arith: {sizes: {router_train: 0, dev: 0}}}\nmain_dataset: arith",
            "main_dataset is 'arith', which must be arithmetic .* because the pipeline trains pair.weak, .*",
        ),
        (
            "datasets: {more: {source: jsonl, layout: aime, path: a}}\nrouters: {trained_on: [more]}",
            "routers.trained_on names 'more', which has no dev and no router_train problems",
        ),
        ("datasets: {more: {source: hub, layout: aime, path: a/b}}", "datasets.more: revision is missing: pin .* a/b"),
        ("datasets: {more: {source: jsonl, layout: math, path: a, part: test}}", "datasets.more: part is for .* aime"),
        (
            "datasets: {more: {source: jsonl, layout: math, path: a, splits: {dev: 0.5, test: 0.6}}}",
            "datasets.more: the shares in splits add up to more than 1",
        ),
        (
            "datasets: {more: {source: jsonl, layout: math, path: a, splits: {exam: 1}}}",
            "datasets.more.splits.exam.*: .*'test'",
        ),
        (
            "datasets: {more: {source: jsonl, layout: math, path: a, without: [exam]}}",
            "datasets.more.without names 'exam', which must be a dataset with test problems",
        ),
        (
            "datasets: {more: {source: jsonl, layout: processbench, path: a}}",
            "datasets.more: solutions with labelled steps have no answers: their splits must be {router_train: 1}",
        ),
        ("evaluated_on: [arith, algebra]", "evaluated_on names 'algebra', which is not under datasets: arith, .*"),
        ("training_mix: {algebra: 1.0}", "training_mix names 'algebra'"),
        ("routers: {trained_on: [algebra]}", "routers.trained_on names 'algebra'"),
        ("main_dataset: algebra", "main_dataset names 'algebra'"),
        ("pair: {prm: judge}", "PRM 'judge' is not under prms: verifier, .*"),
        ("reported_prms: [judge]", "PRM 'judge' is not under prms"),
        ("pair: {strong: {kind: rented}}", "pair.strong: .*'rented'"),
        ("prms: {more: {kind: served, nam: a}}", "key 'prms.more.name' is missing; unknown key 'prms.more.nam'"),
        ("serving: {endpoints: {weak: {url: localhost}}}", "serving.endpoints.weak.url: .*pattern"),
        ("serving: {endpoints: {judge: {url: 'http://a'}}}", "serving.endpoints.judge.*: .*'weak'"),
        ("serving: {concurrency: 0}", "serving.concurrency: .*greater than or equal to 1"),
        ("sampling: {top_p: 0}", "sampling.top_p: .*greater than 0"),
        ("max_steps: none", "max_steps: .*integer"),
        ("routers: {random_shares: [0.1, 2]}", "routers.random_shares.1: .*less than or equal to 1"),
        ("routers: {variants: [hulk]}", "routers.variants.0: .*'hull'"),
        (
            "routers: {query: {baselines: [gpt]}}",
            "routers.query.baselines: .*there is no query-level baseline 'gpt'.*best-route",
        ),
        ("routers: {query: {baselines: []}}", "routers.query.baselines: .*at least 1 item"),
        ("routers: {variants: [hull]}", "routers.variants lacks 'default', which the other variants start from"),
        ("routers: {agg: {variants: [default, default]}}", "routers.agg.variants: the same value stands here twice"),
        ("routers: {others: [mine]}", "routers.others: .*dictionary"),
        ("reported_prms: [verifier]", "reported_prms names 'verifier', which routes already: name only further ones"),
        ("prms: {Noisy: {kind: noisy}}", "'noisy' and 'Noisy' differ in case alone, .*; rename one"),
        (
            "prms: {by_prm: {kind: noisy}}",
            "'by_prm' cannot name a dataset or PRM: letters, digits, .* none of .*by_prm",
        ),
        ("max_steps: '3'", "max_steps: .*integer .text is no number: leave the quotes out.*"),
        ("experiment: 2026", "experiment: .*string .put it in quotes: YAML takes it for a number."),
        ("step_store: '~/store'", "step_store: ~/store is not expanded: write the path of the home folder in full"),
        ("experiment: a/b", "experiment: .*pattern"),
        ("sampling: 3", "sampling: .*dictionary"),
    ],
)
def test_what_is_wrong_is_named(overlay: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=rf"^config: {sentence}[^\n]*$"):
        parse_config(with_overlay(overlay))


def test_what_a_family_does_not_say_is_no_part_of_what_rules_compare() -> None:
    said = {"answer": "all", "p_slip": 0.1, "p_awkward": 0.0}
    assert not set(said) & set(ArithmeticFamily().model_dump())
    assert said.items() <= ArithmeticFamily.model_validate(said).model_dump().items()


def nested(key: str, value: object) -> Any:
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_key_of_an_earlier_version_names_the_new_one(old: str, new: str) -> None:
    value = "arith" if new == "main_dataset" else 3
    with pytest.raises(ConfigError, match=f"^config: key '{old}' is now called '{new}'; rename it$"):
        parse_config(over_default(nested(old, value)))
    parse_config(over_default(nested(new, value)))


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


def test_a_null_removes_a_key() -> None:
    experiment = parse_config(
        with_overlay(
            "datasets: {arith-hard: null}\nevaluated_on: [arith]\n"
            "training_mix: {arith-hard: null}\nsampling: {top_k: null}\nrouters: {trained_on: [arith]}"
        )
    )
    assert set(experiment.datasets) == {"arith", "arith-words"}
    assert set(experiment.training_mix) == {"arith", "arith-words"}
    assert experiment.sampling.top_k == Sampling().top_k


def test_another_kind_of_model_keeps_nothing_of_the_default_one() -> None:
    overlay = "pair: {weak: {kind: pretrained, name: some/model}, strong: {kind: served, name: other/model}}"
    overlay += "\nprms: {verifier: {kind: served, name: a/prm}}\nreported_prms: []"
    experiment = parse_config(with_overlay(overlay))
    assert experiment.pair.weak == PretrainedModel(name="some/model")
    assert experiment.pair.strong == ServedModel(name="other/model")
    assert experiment.prms["verifier"] == ServedPRM(name="a/prm")
    assert experiment.trained == ()


def test_what_an_overlay_says_about_another_kind_counts() -> None:
    likelihood = "prms: {verifier: {kind: classifier, tuning_steps: 7}}"
    assert parse_config(with_overlay(likelihood)).prms["verifier"].tuning_steps == 7
    with pytest.raises(ConfigError, match=r"unknown key 'pair\.weak\.training_steps'"):
        parse_config(with_overlay("pair: {weak: {kind: pretrained, name: a, training_steps: 7}}"))


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
        ("a: [", "mine.yaml, line 1: not valid YAML"),
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


API = {"kind": "api", "name": "big", "prefill": "prefix"}
ENDPOINT = {"url": "https://api.example", "key_env": "KEY"}
PRICE = {"input_per_million": 3, "output_per_million": 15, "max_cost": 10, "max_tokens": 1_000_000}


def test_an_api_model_needs_an_endpoint_with_a_price() -> None:
    prms = {"verifier": {"kind": "likelihood", "backbone": "weak"}}
    content = {"pair": {"strong": API}, "prms": prms, "reported_prms": []}
    for endpoints in ({}, {"strong": ENDPOINT}):
        with pytest.raises(
            ConfigError, match="^config: pair.strong is an API model: serving.endpoints.strong must name"
        ):
            parse_config({**content, "serving": {"endpoints": endpoints}})
    experiment = parse_config({**content, "serving": {"endpoints": {"strong": {**ENDPOINT, "price": PRICE}}}})
    assert experiment.pair.strong.kind == "api"
    with pytest.raises(ConfigError, match="PRM 'verifier' starts from pair.weak, which is not trained"):
        parse_config({"pair": {"weak": {"kind": "served", "name": "m"}}})


def test_serving_is_no_part_of_what_decides_a_result() -> None:
    from trim.models.identities import identify_remote

    sections = (ServedModel(name="a/b"), ServedPRM(name="a/b"), ApiModel(name="b", prefill="prefix"))
    identities = [identify_remote(section) for section in sections]
    assert len(set(identities)) == 3
    assert not any(key in identity for identity in identities for key in ("url", "price", "gpu", "concurrency"))
    assert identify_remote(ServedModel(name="a/b", thinking=True)) != identities[0]
    assert identify_remote(ServedPRM(name="a/b", golden="file.json")) == identities[1]


def test_a_noisy_prm_needs_one_that_is_not() -> None:
    trained = {"verifier": {"kind": "likelihood"}, "classifier": {"kind": "classifier"}}
    noisy = {"kind": "noisy", "of": "verifier", "deviation": 2.0}
    parsed = parse_config(
        {"prms": {**trained, "noisy": noisy}, "reported_prms": ["noisy"], "pair": {"prm": "classifier"}}
    )
    assert set(parsed.trained) == {"pair.weak", "pair.strong", "prms.classifier", "prms.verifier"}
    for prms, said in (
        ({**trained, "noisy": {"kind": "noisy", "of": "nobody"}}, "PRM 'nobody' is not under prms"),
        (
            {**trained, "noisy": {"kind": "noisy", "of": "noisy"}},
            "PRM 'noisy' is made of 'noisy', which is noisy itself",
        ),
    ):
        with pytest.raises(ConfigError, match=said):
            parse_config({"prms": prms, "reported_prms": ["noisy"]})


def test_a_complaint_about_an_endless_name_is_short() -> None:
    with pytest.raises(ConfigError, match="training_mix names '111") as raised:
        parse_config({"training_mix": {"1" * 5000: 1.0}})
    assert len(str(raised.value)) < 1500 and "is not under datasets: arith" in str(raised.value)
