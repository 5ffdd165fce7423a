"""The one table of language-model kinds: the config of each, and what opens it.

A kind of another package stands in the entry point group `trim.models`, as a `ModelKind` under its name. The module
that holds it is imported with the config: it must import nothing that does so too, and nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal

from trim.config.section import Section
from trim.plugins import added

if TYPE_CHECKING:
    from trim.config.models import Sampling
    from trim.models.batching import BatchLoop
    from trim.models.protocols import StepModel
    from trim.models.reading import Reader
    from trim.models.served.servers import Servers
    from trim.models.store import StepStore


@dataclass(frozen=True, slots=True)
class ReaderSource:
    """A reader that is opened when it is needed.

    Attributes
    ----------
    identity
        Says which model, and how it is read.
    open
        Returns the reader, the same at every call.
    """

    identity: str
    open: Callable[[], Reader]


@dataclass(frozen=True, slots=True)
class Opening:
    """What a job opens a language model with.

    Attributes
    ----------
    role
        Whether it drafts or regenerates.
    folder
        Where this pipeline trained it, if it did.
    sampling
        How steps are sampled.
    store
        The step store that the model will stand behind.
    loop
        Fills batches for models that run in the job.
    batch_size, device
        Rows of a forward pass, and where it is computed.
    servers
        Starts or finds servers; None in a job without any.
    cache_bytes
        How much memory what it knows of live prefixes may take, where it runs in the job.
    reader
        The reader of this model that the PRM reads with too, if it does.
    """

    role: Literal["weak", "strong"]
    folder: Path | None
    sampling: Sampling
    store: StepStore
    loop: BatchLoop
    batch_size: int
    device: str
    servers: Servers | None
    cache_bytes: int
    reader: ReaderSource | None = None


@dataclass(frozen=True, slots=True)
class ModelKind:
    """A kind of language model.

    Attributes
    ----------
    section
        Its block under `pair.weak` or `pair.strong` in the config; the default of its key `kind` is its name.
    open
        "module:function" of (spec, opening): returns a `StepModel`, which loads nothing before it is asked for a step.
    """

    section: type[Section]
    open: str


def model_kinds() -> dict[str, ModelKind]:
    """Return all kinds by name, those of other packages last."""
    from trim.config.models import ApiModel, GgufModel, PretrainedModel, ServedModel, TrainedModel

    in_process, remote = "trim.models.opening:open_in_process", "trim.models.opening:open_remote"
    built_in = {
        "trained": ModelKind(TrainedModel, in_process),
        "pretrained": ModelKind(PretrainedModel, in_process),
        "gguf": ModelKind(GgufModel, in_process),
        "served": ModelKind(ServedModel, remote),
        "api": ModelKind(ApiModel, remote),
    }
    return built_in | dict(added("trim.models"))


def open_language_model(spec: Any, opening: Opening) -> StepModel:
    """Open a language model of whichever kind."""
    model: StepModel = resolve_name(model_kinds()[spec.kind].open)(spec, opening)
    return model
