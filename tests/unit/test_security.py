"""Nothing from outside is run, leaves its place or tells a key: what SECURITY.md says, held against the code."""

import ast
import asyncio
import csv
import io
import json
import logging
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from fake_server import FakeServer

from trim.config.datasets import FileDataset
from trim.config.experiment import Experiment
from trim.config.parsing import parse_config
from trim.config.reading import read_overlay
from trim.errors import BackendError, ConfigError, TrimError
from trim.evaluation.format import escape
from trim.files import write_csv
from trim.models.served.client import HttpClient
from trim.problems.adapters import load_dataset
from trim.problems.problem import read_problems, write_problems
from trim.reproduce import experiment_name

ROOT = Path(__file__).parents[2]
PYTHON = [path for folder in ("src", "workflow") for path in sorted((ROOT / folder).rglob("*.py"))]
SNAKEMAKE = [ROOT / "Snakefile", *sorted((ROOT / "workflow").rglob("*.smk"))]

# --- no code ----------------------------------------------------------------------------

UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jinja2", "yte"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.load", "pd.read_pickle"}
UNSAFE_ARGUMENTS = {"shell": True, "allow_pickle": True, "trust_remote_code": True, "weights_only": False}
RUNS_SCRIPTS = {"src/trim/debug.py: compile", "src/trim/debug.py: exec"}
"""What `trim.debug` is for: it runs the scripts of this repository."""


def unsafe(path: Path) -> Iterator[str]:
    """Yield what a file does that could run code from data."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            yield from (name for name in names if name.split(".")[0] in UNSAFE_MODULES)
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in UNSAFE_CALLS:
                yield called
            if called.startswith("yaml.") and called not in ("yaml.safe_load", "yaml.safe_dump"):
                if not any(ast.unparse(argument) == "_Loader" for argument in node.args):
                    yield called
            for keyword in node.keywords:
                if keyword.arg in UNSAFE_ARGUMENTS and ast.unparse(keyword.value) != str(
                    not UNSAFE_ARGUMENTS[keyword.arg]
                ):
                    yield f"{called}({keyword.arg}=...)"


def test_no_pickle_no_eval_no_shell() -> None:
    found = {f"{path.relative_to(ROOT)}: {what}" for path in PYTHON for what in unsafe(path)}
    assert found == RUNS_SCRIPTS


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "eval(x)",
        "yaml.load(x)",
        "yaml.unsafe_load(x)",
        "subprocess.run(x, shell=True)",
        "subprocess.run(x, shell=flag)",
        "np.load(x, allow_pickle=True)",
        "torch.load(x)",
    ],
)
def test_what_is_unsafe_is_found(code: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(code)
    assert list(unsafe(tmp_path / "a.py"))


def test_rules_run_scripts_of_ours_alone() -> None:
    """No shell that a config could reach into, no template that Snakemake would fill."""
    for path in SNAKEMAKE:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(shell|run|template_engine|notebook|wrapper|cwl)\s*:", text, re.MULTILINE), path
        assert not re.search(r"\bshell\s*\(|\beval\s*\(|\bexec\s*\(", text), path
        assert all(
            re.fullmatch(r'"\.\./scripts/\w+\.py"', name)
            for name in re.findall(r"^\s*script:\s*(\S+)", text, re.MULTILINE)
        ), path
    for caption in (ROOT / "workflow/report").glob("*.rst"):  # Snakemake fills them in with jinja
        filled = re.findall(r"\{[{%].*?[}%]\}", caption.read_text(encoding="utf-8"))
        assert set(filled) <= {"{{ snakemake.params.caption }}"}, caption


CODE = ["$(touch ran)", "`touch ran`", "; touch ran", "{{ ''.__class__ }}", "{snakemake.config}", "?open('ran', 'w')"]


@pytest.mark.parametrize("text", [*CODE, "!!python/object/apply:os.system ['touch ran']", "__use_yte__: true"])
def test_code_in_a_problem_is_text(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record = {"problem": f"What is {text}?", "answer": text, "id": text}
    Path("in.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    (problem,) = load_dataset("mine", FileDataset(source="jsonl", layout="math", path="in.jsonl"))
    write_problems([problem], Path("out.jsonl"))
    assert read_problems(Path("out.jsonl")) == [problem]
    assert (problem.id, problem.text, problem.answer) == ("mine-0", record["problem"], text)
    assert not Path("ran").exists()


@pytest.mark.parametrize("text", CODE)
def test_code_in_a_config_is_text_or_refused(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "over.yaml"
    for overlay in ({"experiment": text}, {"pair": {"name": text}}, {"step_store": text}, {text: 1}):
        path.write_text(yaml.safe_dump(overlay), encoding="utf-8")
        content = Experiment().model_dump(mode="json")
        try:
            experiment = parse_config(content | read_overlay(path))
        except ConfigError:
            continue
        assert text in (experiment.pair.name, experiment.step_store)
    assert not Path("ran").exists()


# --- no way out -------------------------------------------------------------------------

PATHS = ["../up", "a/../../up", "/tmp/up", "..", "a\\..\\up", "a\0b", ".hidden", "a b", "a\n", ""]


@pytest.mark.parametrize("name", PATHS)
def test_no_name_leaves_its_folder(name: str, tmp_path: Path) -> None:
    family = {"source": "arithmetic", "sizes": {"test": 3}}
    base = Experiment().model_dump(mode="json")
    for changes in (
        {"experiment": name},
        {"datasets": base["datasets"] | {name: family}},
        {"prms": base["prms"] | {name: {"kind": "noisy", "of": "verifier"}}},
    ):
        with pytest.raises(ConfigError, match="^config: "):
            parse_config(base | changes)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"experiment": "fine"}), encoding="utf-8")
    with pytest.raises(ConfigError, match="must be letters, digits"):
        experiment_name(tmp_path, (), [f"experiment={name}"])


# --- what others open -------------------------------------------------------------------


def test_text_in_latex_stays_text() -> None:
    hostile = r"\input{/etc/passwd} \write18{touch ran} $x$ 100% a_b #1 ~ ^ & {"
    written = escape(hostile)
    assert written.startswith(r"\textbackslash{}input\{/etc/passwd\}")
    bare = re.sub(r"\\text(backslash|asciitilde|asciicircum)\{\}|\\[%_&#${}]", "", written)
    assert not set(bare) & set("\\%_&#${}~^")


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "\t=1", "a,b", 'a"b', "a\nb"]


def test_no_table_holds_what_a_problem_or_a_model_says() -> None:
    """A spreadsheet runs formulas, so tables hold names and numbers; and no name begins as a formula does."""
    for path in (ROOT / "workflow/scripts").glob("*.py"):
        source = path.read_text(encoding="utf-8")
        if "write_csv" in source:
            assert not re.search(r'"(text|answer|problem_text)"', source), path
    base = Experiment().model_dump(mode="json")
    for formula in FORMULAS[:6]:
        with pytest.raises(ConfigError):
            parse_config(base | {"pair": base["pair"] | {"name": formula}})


def test_a_cell_stays_one_cell(tmp_path: Path) -> None:
    write_csv(pd.DataFrame({"name": FORMULAS, "value": 1}), tmp_path / "a.csv")
    rows = list(csv.reader(io.StringIO((tmp_path / "a.csv").read_text(encoding="utf-8"))))
    assert [row[0] for row in rows[1:]] == FORMULAS
    assert {len(row) for row in rows} == {2}


# --- keys -------------------------------------------------------------------------------

KEY = "sk-very-long-and-very-secret-0123456789"
ECHOES = [
    {"status": 401, "text": f'{{"error": "Incorrect API key provided: {KEY}"}}'},
    {"status": 400, "text": "x" * 280 + f" Bearer {KEY}"},  # longer than what is shown
    {"text": f"no JSON but Authorization: Bearer {KEY}"},
    {"text": f'{{"error": {{"code": 401, "message": "{KEY}"}}}}'},
    {"status": 503, "text": KEY},
    {"text": f'{{"odd": "{KEY}"}}'},
]


@pytest.mark.parametrize("echo", ECHOES)
def test_a_key_that_a_server_echoes_is_not_told(
    echo: dict[str, Any], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def parse(answer: Any) -> Any:
        raise BackendError(f"cannot be read: {answer}")

    caplog.set_level(logging.DEBUG)
    with FakeServer("m", {"/": lambda body: {"fine": 1}}) as server:
        server.faults = [echo] * 9
        client = HttpClient("the weak server", server.url, headers={"Authorization": f"Bearer {KEY}"}, retry_for=0.2)
        with pytest.raises(TrimError) as told:
            asyncio.run(client.post("/", {}, parse))
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    everything = "".join(traceback.format_exception(told.value)) + caplog.text + "".join(capsys.readouterr())
    assert KEY[:12] not in everything
    assert KEY[:12] not in repr(client) + str(told.value)
