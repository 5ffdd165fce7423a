"""Read config files from outside: every fault of a file is one sentence with its line, before anything is merged."""

from __future__ import annotations

import codecs
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from trim.config.datasets import FileDataset
from trim.config.experiment import Experiment
from trim.config.models import PretrainedModel, PretrainedPRM, TokenClassifierPRM
from trim.config.parsing import parse_config
from trim.errors import ConfigError
from trim.shipped import found

DEEPEST = 20
TEMPLATE_SWITCH = "__use_yte__"
"""Has Snakemake run the file as a template, and so whatever code stands in it."""


MERGE = "tag:yaml.org,2002:merge"
"""`<<: *name`, which takes over the keys of another mapping."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Safe YAML in which no key may stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == MERGE:
                continue  # its keys may stand here again: those of the mapping itself count
            key, line = self.construct_object(key_node, deep=True), key_node.start_mark.line + 1
            if not isinstance(key, Hashable):
                continue  # which is refused below
            if key in seen:
                raise ConfigError(f"line {line}: key {key!r} stands here again, first in line {seen[key]}: join them")
            seen[key] = line
        found: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return found


def read_experiment(root: Path, overlays: Sequence[Path] = (), settings: Sequence[str] = ()) -> Experiment:
    """Read config.yaml and lay overlays over it, in the order in which Snakemake lays them: each over those before.

    Parameters
    ----------
    root
        Folder where somebody works; what it lacks is the workflow's own.
    settings
        KEY=VALUE, laid over all of them, as Snakemake's --config has it.

    Raises
    ------
    ConfigError
        If a file cannot be read, or what they make together is no config.
    """
    from snakemake.utils import update_config

    content = read_overlay(found(Path("config.yaml"), root))
    for overlay in overlays:
        update_config(content, read_overlay(found(overlay, root)))
    if settings:
        update_config(content, _parsed(settings))
    return parse_config(content)


def _parsed(settings: Sequence[str]) -> dict[str, Any]:
    from snakemake.cli import parse_config as parse_settings

    try:
        parsed: dict[str, Any] = parse_settings(settings)
    except ValueError as error:
        raise ConfigError(f"--config {' '.join(settings)}: {error}") from None
    return parsed


def missing_files(experiment: Experiment) -> Iterator[str]:
    """Yield a sentence for each file or folder that a job will need and that is not there.

    Offline, problems that were prepared before do without their files.
    """
    paths: dict[str, str] = {
        f"datasets.{name}.path": dataset.path
        for name, dataset in experiment.datasets.items()
        if isinstance(dataset, FileDataset) and dataset.source == "jsonl" and not experiment.offline
    }
    golden = {f"prms.{name}.golden": getattr(prm, "golden", None) for name, prm in experiment.prms.items()}
    paths |= {key: path for key, path in golden.items() if path}
    for role in ("weak", "strong"):
        model = getattr(experiment.pair, role)
        if isinstance(model, PretrainedModel) and model.name.startswith((".", "/")):
            paths[f"pair.{role}.name"] = model.name
    for name, prm in experiment.prms.items():
        if isinstance(prm, PretrainedPRM | TokenClassifierPRM) and prm.name.startswith((".", "/")):
            paths[f"prms.{name}.name"] = prm.name
    for key, path in paths.items():
        if not Path(path).exists():
            yield f"config: {key} is {path}, which does not exist; relative paths start where snakemake is called"


def read_overlay(path: Path) -> dict[str, Any]:
    """Read one config file; an empty one changes nothing.

    Raises
    ------
    ConfigError
        If it is missing, not UTF-8, not YAML, not a mapping, too deep, or holds a key twice or code.
    """
    text = _read_text(path)
    try:
        content = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        tab = " (YAML wants spaces, not tabs)" if "'\\t'" in str(error.problem) else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {error.problem}{tab}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    except ConfigError as error:
        raise ConfigError(f"{path}, {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys with values, found a {type(content).__name__}")
    if TEMPLATE_SWITCH in content:
        raise ConfigError(
            f"{path}: {TEMPLATE_SWITCH} has Snakemake run code from the file; write the values themselves"
        )
    _check_plain(content, path, "", 0)
    return content


def _read_text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except IsADirectoryError:
        raise ConfigError(f"{path}: this is a folder, not a config file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigError(f"{path}: this is UTF-16; save it as UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {line}: byte {raw[error.start]:#04x} is not UTF-8; save it as UTF-8") from None


def _check_plain(value: Any, path: Path, key: str, depth: int) -> None:
    """Refuse what is nested without end, and keys that are no text."""
    if depth > DEEPEST:
        raise ConfigError(f"{path}: {key} is nested more than {DEEPEST} levels deep")
    if isinstance(value, Mapping):
        for name, part in value.items():
            if not isinstance(name, str):
                raise ConfigError(f"{path}: key {name!r} under {key or 'the top'} is no text; put it in quotes")
            _check_plain(part, path, f"{key}.{name}".lstrip("."), depth + 1)
    elif isinstance(value, list):
        for part in value:
            _check_plain(part, path, key, depth + 1)
