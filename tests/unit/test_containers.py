"""One source of both images: apptainer.def is made from the Dockerfile, and both are what the environment is."""

import re
from pathlib import Path

import pytest
import yaml

from trim.documents.apptainer import render
from trim.errors import InputError

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
DEFINITION = (ROOT / "apptainer.def").read_text(encoding="utf-8")
IMAGES = {"Dockerfile": DOCKERFILE, "apptainer.def": DEFINITION}


def test_the_definition_is_made_from_the_dockerfile() -> None:
    assert render(DOCKERFILE) == DEFINITION, "run `make apptainer.def`"


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_has_the_python_of_the_environments_the_lock_and_the_command(name: str) -> None:
    image = IMAGES[name]
    (python,) = re.findall(r"^(?:FROM|From:) python:([\d.]+)-slim$", image, re.MULTILINE)
    for path in (ROOT / "envs").glob("*.yaml"):
        assert f"python ={python}" in yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]
    assert re.search(r"(COPY|%files)[^%]*\brequirements\.lock\b", image)
    assert "make -C /opt/trim install" in image  # whose recipe installs what is in the lock
    assert re.search(r'^ENTRYPOINT \["trim", "run"\]$|^    exec trim run "\$@"$', image, re.MULTILINE)


def test_all_that_is_copied_is_there_and_all_that_a_wheel_holds_is_copied() -> None:
    copied = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if line.startswith("COPY ")]
    names = {name for line in copied for name in line}
    assert all((ROOT / name).exists() for name in names)
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    wanted = re.findall(r'"([^"]+)"', setup.split("FILES = ")[1].split("\n\n")[0].split('"""')[0])
    assert len(wanted) > 5
    assert all(name in names or name.split("/")[0] in names for name in wanted)


def test_an_instruction_without_a_counterpart_is_named() -> None:
    with pytest.raises(InputError, match=r"^Dockerfile: HEALTHCHECK has no counterpart in apptainer\.def"):
        render("FROM python:3.11-slim\nHEALTHCHECK CMD true\n")
