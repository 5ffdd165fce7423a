"""The one table of PRM kinds that the pipeline trains: the config of each, how it is trained, how it is loaded.

A kind of another package stands in the entry point group `trim.prms`, as a `PrmKind` under its name. The module that
holds it is imported with the config: it must import nothing that does so too, and nothing heavy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from trim.checksums import check_folder
from trim.config.section import Section
from trim.errors import InputError, StoreError
from trim.models.fingerprint import fingerprint_model
from trim.models.kept import PRMS, Kept
from trim.plugins import added
from trim.progress import Progress

if TYPE_CHECKING:
    from trim.config.datasets import ArithmeticFamily
    from trim.models.model_kinds import ReaderSource

DESCRIPTION_FILE = "prm.json"
"""Says which kind a folder holds."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A rollout.

    Attributes
    ----------
    problem, steps
        Their texts.
    labels
        Whether each step is right given the text before it; empty where nobody knows.
    correct
        Whether the final answer is right.
    behaviour
        Who wrote it: `weak-only`, `strong-only`, `mixed`.
    """

    problem: str
    steps: tuple[str, ...]
    labels: tuple[bool, ...]
    correct: bool = False
    behaviour: str = ""


@dataclass(frozen=True, slots=True)
class PrmTraining:
    """What a PRM is trained on.

    Attributes
    ----------
    traces
        Rollouts of the main dataset.
    backbone
        Folder of the language model that it starts from, if it starts from one that the pipeline trained.
    reader
        Opens a reader of the language model that it reads with, for kinds that do so.
    families, mix
        What the language models were trained on.
    seed
        Root of all draws.
    """

    traces: Sequence[Trace]
    backbone: Path | None
    families: Mapping[str, ArithmeticFamily]
    mix: Mapping[str, float]
    seed: str
    reader: ReaderSource | None = None

    def facts(self, spec: Section, version: int) -> dict[str, Any]:
        """Return all that decides the PRM that is trained on this, as JSON has it."""
        traces = json.dumps([asdict(trace) for trace in self.traces]).encode()
        return {
            "spec": spec.model_dump(mode="json"),
            "version": version,
            "traces": hashlib.sha256(traces).hexdigest(),
            "backbone": self.backbone and fingerprint_model(str(self.backbone), None),
            "reader": self.reader and self.reader.identity,
            "families": {name: family.model_dump(mode="json") for name, family in self.families.items()},
            "mix": dict(self.mix),
            "seed": self.seed,
        }


@dataclass(frozen=True, slots=True)
class PrmKind:
    """A kind of PRM.

    Attributes
    ----------
    section
        Its block under `prms` in the config; the default of its key `kind` is the name of the kind.
    train
        "module:function" of (spec, training, folder, progress): fills the folder.
    load
        "module:function" of (folder, device, batch_size, ...): returns the backend that answers with scores.
    kept
        Whether the step store keeps what was trained, so that it is trained once and replayed without a model: for
        kinds whose training needs a large one and leaves little behind.
    version
        Raised when a change makes training leave something else behind; decides for kept ones alone.
    routers
        Which routers are fitted with it where it is reported beside the PRM that routes; empty for all.
    """

    section: type[Section]
    train: str
    load: str
    kept: bool = False
    version: int = 1
    routers: tuple[str, ...] = ()


def prm_kinds() -> dict[str, PrmKind]:
    """Return all kinds by name, those of other packages last."""
    from trim.config.models import ClassifierPRM, ConfidencePRM, LikelihoodPRM, ValuePRM

    training, loading = "trim.models.prm_training", "trim.models.prm"
    value, confidence = "trim.models.value_prm", "trim.models.confidence"
    built_in = {
        "likelihood": PrmKind(LikelihoodPRM, f"{training}:train_likelihood_prm", f"{loading}:load_likelihood"),
        "classifier": PrmKind(ClassifierPRM, f"{training}:train_classifier_prm", f"{loading}:load_classifier"),
        "value": PrmKind(ValuePRM, f"{value}:train_value_prm", f"{value}:load_value_prm", kept=True, version=2),
        "confidence": PrmKind(
            ConfidencePRM, f"{confidence}:train_nothing", f"{confidence}:load_confidence", routers=("trim-thr",)
        ),
    }
    return built_in | dict(added("trim.prms"))


def train_prm(
    spec: Any, training: PrmTraining, folder: Path, on_progress: Progress | None = None, kept: Kept | None = None
) -> None:
    """Train a PRM and fill its folder, which says afterwards what it is; or take it from what the step store kept.

    Raises
    ------
    StoreError
        If the store is only read, and does not hold a PRM of a kind that is kept.
    """
    if training.backbone is not None:
        check_folder(training.backbone)
    kind = prm_kinds()[spec.kind]
    if kept is None or not kind.kept:
        _train(kind, spec, training, folder, on_progress)
        return
    facts = training.facts(spec, kind.version)
    if kept.restore(PRMS, facts, folder):
        return
    if kept.offline:
        raise StoreError(
            f"{kept.place(PRMS, facts)}: offline, and no PRM of kind {spec.kind!r} that was trained on these steps is "
            "kept there; import the experiment's archive (docs/replay.md), or run once with offline: false"
        )
    _train(kind, spec, training, folder, on_progress)
    kept.keep(PRMS, facts, folder)


def _train(kind: PrmKind, spec: Any, training: PrmTraining, folder: Path, on_progress: Progress | None) -> None:
    resolve_name(kind.train)(spec, training, folder, on_progress)
    # Without a checksum of its own: the model's identity is made from this file too, and the folder has checksums.
    described = json.dumps(spec.model_dump(mode="json"), indent=1)
    (folder / DESCRIPTION_FILE).write_text(described + "\n", encoding="utf-8")


def load_prm(folder: Path, device: str = "cpu", **options: Any) -> Any:
    """Load a PRM that this pipeline trained, whichever its kind: a `BatchBackend` that answers with scores."""
    return resolve_name(prm_kinds()[prm_section(folder)["kind"]].load)(folder, device=device, **options)


def prm_section(folder: Path) -> Mapping[str, Any]:
    """Return what the config said of the PRM in a folder.

    Raises
    ------
    InputError
        If the folder does not say, or of a kind that nobody registered.
    """
    try:
        section: Mapping[str, Any] = json.loads((folder / DESCRIPTION_FILE).read_bytes())
        kind = section["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: {DESCRIPTION_FILE} does not say which PRM this is ({error}); train it") from error
    if kind not in prm_kinds():
        raise InputError(f"{folder}: there is no PRM kind {kind!r}; there are {', '.join(prm_kinds())}")
    return section
