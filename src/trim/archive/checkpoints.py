"""The models that an experiment trained, as an archive: who imports it into a step store starts from them."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from trim.archive.card import OWN, front_matter, origin_page
from trim.archive.export import Files, check_size
from trim.archive.parts import Manifest, write_archive
from trim.checksums import check_folder, summed_names
from trim.config.experiment import Experiment
from trim.config.models import GivenPRM, NoisyPRM
from trim.config.reading import read_experiment
from trim.errors import InputError
from trim.files import read_json
from trim.jobs import origin_of
from trim.models.checkpoints import PRM_FOLDER, checkpoint_facts
from trim.models.kept import CHECKPOINTS, Kept

METRICS_FILE = "metrics.json"


def export_checkpoints(overlays: Sequence[Path], folder: Path, most_bytes: int, root: Path) -> Manifest:
    """Write an archive of the models that an experiment has trained; return its manifest.

    Parameters
    ----------
    overlays
        Config files laid over config.yaml.
    most_bytes
        What the files may have together.
    root
        Folder in which the experiment has run.

    Raises
    ------
    InputError
        If a model is not there, or is not the one of this config, or there is too much.
    """
    experiment = read_experiment(root, overlays)
    if not (names := trained_names(experiment)):
        raise InputError(f"{experiment.experiment} trains no model, so that there is none to export")
    with TemporaryDirectory() as aside:
        for name in names:
            _lay_out(experiment, root / experiment.results / "models" / name, Path(aside))
        paths = [path for path in (Path(aside) / CHECKPOINTS).rglob("*") if path.is_file()]
        files: Files = {path.relative_to(aside).as_posix(): path.read_bytes() for path in paths}
    check_size(folder, experiment, files, most_bytes)
    given = [f"--configfile={path}" for path in overlays]
    manifest = Manifest(
        experiment=experiment.experiment,
        made_by=shlex.join(["trim", "checkpoints", "export", folder.name, *given]),
        provenance=origin_of(experiment),
        config=experiment.decisive,
        licences=dict.fromkeys(names, OWN),
        held=(),
    )
    return write_archive(manifest, files, _readme(manifest, shlex.quote(folder.name)), folder)


def trained_names(experiment: Experiment) -> list[str]:
    """Return the folders of all models that the pipeline trains for an experiment."""
    roles = [role for role in ("weak", "strong") if getattr(experiment.pair, role).kind == "trained"]
    prms = {name: experiment.prms[name] for name in experiment.used_prms}
    own = [name for name, prm in prms.items() if not isinstance(prm, NoisyPRM | GivenPRM)]
    return [*roles, *(PRM_FOLDER + name for name in own)]


def _lay_out(experiment: Experiment, trained: Path, store: Path) -> None:
    """Copy a model to where a step store keeps it."""
    if not (trained / METRICS_FILE).is_file():
        raise InputError(f"{trained}: not there; run the experiment before its models are exported")
    check_folder(trained)
    facts = read_json(trained / METRICS_FILE, whole=trained).get("decided_by")
    if facts is None:
        raise InputError(f"{trained}: does not say which settings decided it; remove it and run the experiment again")
    if facts != json.loads(json.dumps(checkpoint_facts(experiment, trained.name, facts.get("version", 0)))):
        raise InputError(f"{trained}: was trained with other settings than those of the config; run it again first")
    with TemporaryDirectory() as aside:
        for name in summed_names(trained):
            (Path(aside) / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(trained / name, Path(aside) / name)
        Kept(store).keep(CHECKPOINTS, facts, Path(aside))


def _readme(manifest: Manifest, place: str) -> str:
    title = f"Models that the experiment {manifest.experiment} trained"
    return f"""{front_matter(manifest, title)}
# {title}

Weights as safetensors, all else as JSON and a chat template: a tar, cut into parts. Imported into a step store, they
are taken in place of training by every run in which the settings that decide them are the same, and the release of
`trim` too.

```bash
trim store verify {place}
trim checkpoints import {place}
```

{origin_page(manifest)}"""
