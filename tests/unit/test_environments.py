"""The places that name versions agree with each other."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import trim

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))


def pins(lines):
    """Name and version of each line, which must be `name==version` and nothing else."""
    pairs = [re.fullmatch(r"([\w.-]+)==([\w.]+)", line) for line in lines]
    assert all(pairs), [line for line, pair in zip(lines, pairs, strict=True) if not pair]
    return {canonicalize_name(pair[1]): pair[2] for pair in pairs}


def torch_version():
    return re.search(r"^TORCH_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]


@pytest.fixture(scope="module")
def lock():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return pins([line for line in lines if not line.startswith("#")])


def test_lock_leaves_torch_to_the_makefile(lock):
    assert not [name for name in lock if re.match("torch|triton|nvidia-|cuda-", name)]


def test_lock_meets_every_dependency(lock):
    wanted = [*PROJECT["dependencies"], *chain.from_iterable(PROJECT["optional-dependencies"].values())]
    locked = {**lock, "torch": torch_version()}
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), requirement


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_environment_has_the_versions_of_the_lock(path, lock):
    *conda, pip = yaml.safe_load(path.read_text())["dependencies"]
    locked = {**lock, "torch": torch_version()}
    assert {name: locked.get(name) for name in pins(pip["pip"])} == pins(pip["pip"])
    python = next(entry.split("=")[1] for entry in conda if entry.startswith("python "))
    assert SpecifierSet(PROJECT["requires-python"]).contains(python)


def test_there_are_environments():
    assert len(ENVIRONMENTS) >= 2


def with_what_they_need(names):
    """Names of distributions and of all that these bring along."""
    found, waiting = set(), list(names)
    while waiting:
        if (name := canonicalize_name(waiting.pop())) in found:
            continue
        found.add(name)
        try:
            needs = map(Requirement, requires(name) or [])
        except PackageNotFoundError:
            continue
        waiting += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return found


def scripts_of(environment):
    rules = "\n".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    pairs = re.findall(r"envs/(\w+)\.yaml\"(?:(?!^rule ).)*?scripts/(\w+\.py)\"", rules, re.DOTALL | re.MULTILINE)
    return sorted({script for name, script in pairs if name == environment})


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_environment_has_what_its_scripts_import(path):
    scripts = [ast.parse((ROOT / "workflow/scripts" / name).read_text()) for name in scripts_of(path.stem)]
    imports = [ast.unparse(node) for tree in scripts for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert imports
    code = "\n".join([*imports, "import sys", "print(*{name.split('.')[0] for name in sys.modules})"])
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    ours = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    there = with_what_they_need(pins(yaml.safe_load(path.read_text())["dependencies"][-1]["pip"]))
    distributions = packages_distributions()
    used = {canonicalize_name(name) for module in loaded for name in distributions.get(module, ())}
    assert not (used & ours) - there


def test_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["version"] == citation["version"] == trim.__version__


def test_no_two_test_modules_share_a_name():
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))  # pytest could not collect them together
