"""Parts of other installed packages: found by their entry points, and one sentence where they cannot be."""

import operator
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from packages import installed, register
from smoke import ROOT, environment

from trim.config.parsing import parse_config
from trim.config.routers import Routers
from trim.errors import ConfigError, InputError, TrimError
from trim.models.prm_kinds import load_prm
from trim.names import look_of, names, variants
from trim.plugins import added
from trim.routers.query_level.registry import baseline
from trim.routers.registry import control_points, controls, fitted_routers, step_router

Package = Callable[..., None]


def forget() -> None:
    """What was found among installed packages is looked for again."""
    added.cache_clear()
    names.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """Install packages that consist of entry points alone: name, group, and what is registered there."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(name: str, group: str, **entries: str) -> None:
        register(tmp_path, name, "1.0", {group: entries})
        forget()

    yield make
    monkeypatch.undo()
    forget()


@pytest.fixture
def own_parts(package: Package, tmp_path: Path) -> None:
    """The package under examples/ is installed."""
    installed(tmp_path)
    forget()


def outside(tmp_path: Path, code: str) -> str:
    """Run a few lines in a new process in which the example is installed, and return what they print."""
    environ = environment(ROOT, installed(tmp_path / "packages"))
    return subprocess.run([sys.executable, "-c", code], env=environ, check=True, capture_output=True, text=True).stdout


def test_an_entry_is_found_by_its_name(package: Package) -> None:
    package("mine", "trim.routers", own="operator:add")
    assert added("trim.routers") == {"own": operator.add}
    assert added("trim.figures") == {}


def test_two_packages_with_one_name_are_refused(package: Package) -> None:
    package("mine", "trim.routers", own="operator:add")
    package("yours", "trim.routers", own="operator:sub")
    with pytest.raises(ConfigError, match="two installed packages register 'own' in trim.routers; uninstall one of"):
        added("trim.routers")


@pytest.mark.parametrize("value", ["no_such_module:x", "operator:no_such_function", "this is no reference"])
def test_an_entry_that_cannot_be_loaded_is_named(value: str, package: Package) -> None:
    package("mine", "trim.prms", own=value)
    with pytest.raises(ConfigError, match=r"trim\.prms: own \(.*\) cannot be loaded: "):
        added("trim.prms")


UNKNOWN: Mapping[str, tuple[Callable[[], object], type[TrimError], str]] = {
    "router": (lambda: variants("trim-x"), InputError, "there is no router 'trim-x'; there are weak-only, "),
    "variant": (lambda: look_of("trim-thr", "x"), InputError, "'trim-thr' has no variant 'x'; it has default, hull"),
    "fitted router": (
        lambda: step_router("trim-x", Routers()),
        ConfigError,
        "there is no fitted router 'trim-x'; there are trim-thr, ",
    ),
    "control": (lambda: control_points("x", Routers()), ConfigError, "there is no router 'x' without a fit; there are"),
    "baseline": (lambda: baseline("x"), ConfigError, "there is no query-level baseline 'x'; there are bert, "),
    "baseline in the config": (
        lambda: parse_config({"routers": {"query": {"baselines": ["x"]}}}),
        ConfigError,
        "routers.query.baselines: there is no query-level baseline 'x'; there are bert, ",
    ),
    "router in the config": (
        lambda: fitted_routers(Routers(others={"x": {}})),
        ConfigError,
        r"routers.others.x: no installed package registers a router of that name .* \(there: none\); install it",
    ),
    "PRM kind in the config": (
        lambda: parse_config({"prms": {"mine": {"kind": "x"}}}),
        ConfigError,
        "prms.mine: .*'x' .*'likelihood', 'classifier'",
    ),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_an_unknown_name_is_one_sentence_that_names_the_known_ones(what: str) -> None:
    ask, error, expected = UNKNOWN[what]
    with pytest.raises(error, match=expected):
        ask()


def test_a_folder_of_an_unknown_kind_of_prm_is_named(tmp_path: Path) -> None:
    (tmp_path / "prm.json").write_text('{"kind": "x"}', encoding="utf-8")
    with pytest.raises(InputError, match="there is no PRM kind 'x'; there are likelihood, classifier"):
        load_prm(tmp_path)


def test_a_named_control_runs_only_where_the_config_asks_for_it(own_parts: None) -> None:
    assert "take-turns" in {router for router, _ in names()}
    assert "take-turns" not in controls(Routers())
    assert controls(Routers(others={"take-turns": {}}))[-1] == "take-turns"


def test_settings_of_a_router_from_outside_are_checked_before_any_job(own_parts: None) -> None:
    assert "by-position" in fitted_routers(Routers(others={"by-position": {"shares": [0.5]}}))
    with pytest.raises(ConfigError, match="config: unknown key 'routers.others.by-position.share'"):
        fitted_routers(Routers(others={"by-position": {"share": [0.5]}}))
    with pytest.raises(ConfigError, match=r"config: routers.others.by-position.shares.0: .* less than or equal to 1"):
        fitted_routers(Routers(others={"by-position": {"shares": [2.0]}}))


HEAVY = """
import sys
from trim.config.parsing import parse_config
from trim.names import names
names()
pair = {"strong": {"kind": "calculator"}}
parse_config({"pair": pair, "prms": {"verifier": {"kind": "step-length"}}, "reported_prms": []})
print(sorted({"torch", "transformers", "pandas", "matplotlib"} & set(sys.modules)))
"""


def test_the_config_is_read_with_an_installed_package_and_without_what_is_heavy(tmp_path: Path) -> None:
    assert outside(tmp_path, HEAVY) == "[]\n"


SOLVED = """
from pathlib import Path
from trim.config.models import Sampling
from trim.config.parsing import parse_config
from trim.models.opening import open_pair
from trim.models.store import StepStore
from trim.problems.problem import Problem
from trim.rollout.engine import Run, solve_all
from trim.routers.controls import StrongOnly
spec = parse_config({"pair": {"strong": {"kind": "calculator"}}, "reported_prms": []}).pair.strong
pair = open_pair(spec, spec, {}, Sampling(), StepStore(Path("store"), "p"), 1)
text = "7 a+5 b*3?"
(episode,) = solve_all([Run(Problem("p", "arith", text, "36", "0"), StrongOnly(), 0)], pair, 9)
print(episode.answer, [kept.step.text for kept in episode.kept], episode.costs.strong_tokens)
"""


def test_a_language_model_of_another_package_writes_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert outside(tmp_path, SOLVED) == "36 ['a:7+5=12\\n\\n', 'b:12*3=36\\n\\n', '\\\\boxed{36}'] 31\n"
