"""`--sdm conda`, before a conda that only notes what it is asked for: none is at hand where this was written.

What it makes is no environment of packages but a bare Python without any, so that the library and all else come from
where Snakemake looks beside an environment: its own.
"""

import json
import sys
from pathlib import Path

import pytest
from smoke import RESULTS, ROOT, checkout, snakemake

CONDA = """#!{python} -I
import json, os, shutil, stat, sys
from pathlib import Path
asked, here = sys.argv[1:], Path("{here}")
if asked == ["--version"]:
    print("conda 99.9.9")
elif asked == ["info", "--json"]:
    print(json.dumps({{"conda_prefix": str(here), "platform": "linux-64"}}))
elif asked[:2] == ["config", "--get"]:
    print(json.dumps({{"get": {{"channel_priority": "strict"}}}}))
elif asked[:2] == ["env", "create"]:
    with (here / "created.jsonl").open("a") as created:
        created.write(json.dumps(Path(asked[asked.index("--file") + 1]).read_text()) + "\\n")
    python = Path(asked[asked.index("--prefix") + 1]) / "bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\\necho "$@" >> "{here}/ran.txt"\\nexec "{python}" -I "$@"\\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
elif asked[0] != "clean":
    sys.exit(f"conda was asked for {{asked}}")
"""


@pytest.fixture
def conda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the program, on the path, and what it notes."""
    here = tmp_path / "conda"
    (here / "bin").mkdir(parents=True)
    (here / "bin/conda").write_text(CONDA.format(python=sys._base_executable, here=here))  # type: ignore[attr-defined]
    (here / "bin/conda").chmod(0o755)
    (here / "bin/activate").write_text('export PATH="$1/bin:$PATH" CONDA_PREFIX="$1"\n')
    monkeypatch.setenv("PATH", f"{here / 'bin'}:/usr/bin:/bin")
    return here


def test_a_rule_runs_in_its_environment_with_the_library_of_snakemake(conda: Path, tmp_path: Path) -> None:
    tree, manifest = checkout(tmp_path / "checkout"), RESULTS / "problems/arith-words/manifest.json"
    snakemake(tree, "--sdm", "conda", targets=(manifest,))
    created = [json.loads(line) for line in (conda / "created.jsonl").read_text().splitlines()]
    assert created == [(ROOT / "envs/problems.yaml").read_text(encoding="utf-8")]
    assert "prepare_dataset.py" in (conda / "ran.txt").read_text(encoding="utf-8")
    assert (tree / manifest).is_file()
