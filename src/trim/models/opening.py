"""Open the models of an experiment behind the step store; nothing is loaded before a step is missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from trim.checksums import short_digest
from trim.config.models import (
    ApiModel,
    ConfidencePRM,
    GgufModel,
    GivenPRM,
    LanguageModel,
    PretrainedModel,
    PretrainedPRM,
    ReadingPRM,
    Sampling,
    ServedModel,
    ServedPRM,
    TokenClassifierPRM,
    TrainedModel,
    ValuePRM,
)
from trim.config.serving import Role
from trim.errors import ConfigError, InputError
from trim.models.batching import BatchBackend, BatchedStepModel, BatchedStepScorer, BatchLoop, LazyBackend
from trim.models.gguf import convert_gguf
from trim.models.identities import (
    ANY_DEVICE,
    BACKEND_VERSION,
    RAGGED_VERSION,
    identify,
    identify_local,
    identify_remote,
    identify_weights,
    is_ragged,
)
from trim.models.model_kinds import Opening, ReaderSource, open_language_model
from trim.models.noise import NoisyScorer
from trim.models.protocols import CutSteps, ModelPair, StepModel, StepScorer
from trim.models.store import StepStore, StoredStepModel, StoredStepScorer

if TYPE_CHECKING:
    from trim.models.prompts import PrefixTokenizer
    from trim.models.ragged import RaggedReader
    from trim.models.reading import Outputs, Writer
    from trim.models.served.client import HttpClient
    from trim.models.served.servers import Servers
    from trim.models.transformers_backend import FixedShapeReader


def open_pair(
    weak: LanguageModel,
    strong: LanguageModel,
    folders: dict[str, Path],
    sampling: Sampling,
    store: StepStore,
    batch_size: int,
    device: str = "cpu",
    prm: GivenPRM | None = None,
    servers: Servers | None = None,
    cache_bytes: int = 1 << 30,
    patience: int | None = None,
) -> ModelPair:
    """Open weak model, strong model and PRM, each behind the store.

    Parameters
    ----------
    folders
        Folders of `weak`, `strong` and `prm`, where this pipeline trained them.
    prm
        The PRM, where nobody trains it here.
    servers
        Starts or finds the servers of those models that are served.
    cache_bytes
        How much memory the states of live prefixes may take, of each language model that runs in the job.
    patience
        As of `BatchLoop`, where problems come without end.
    """
    loop, specs = BatchLoop(patience), {"weak": weak, "strong": strong}
    scoring = prm or folders.get("prm")
    wish = prm_wish(scoring)
    reader = None
    if wish:
        backbone = specs[wish.backbone], folders.get(wish.backbone)
        reader = pair_reader(*backbone, wish, store, batch_size, cache_bytes, device)

    def language_model(role: Literal["weak", "strong"]) -> StoredStepModel:
        shared = reader if wish and wish.backbone == role else None
        opening = Opening(
            role, folders.get(role), sampling, store, loop, batch_size, device, servers, cache_bytes, shared
        )
        return StoredStepModel(open_language_model(specs[role], opening), store)

    return ModelPair(
        language_model("weak"),
        language_model("strong"),
        open_scorer(scoring, store, batch_size, loop, device, servers, reader) if scoring else None,
    )


def open_in_process(spec: TrainedModel | PretrainedModel | GgufModel, opening: Opening) -> StepModel:
    """Open a language model that runs in the job; nothing is loaded before a step is missing."""
    batch_size, device, sampling = opening.batch_size, opening.device, opening.sampling
    local = as_local(spec, opening.folder)
    identity = identify_local(local, batch_size, device, sampling)

    def build() -> BatchBackend:
        from trim.models.generator import StepGenerator

        shared = opening.reader if is_ragged(local) else None
        asked = local, opening.store, batch_size, device, opening.cache_bytes
        # The reader of a model that is ragged writes too.
        writer = cast("Writer", shared.open()) if shared else build_writer(*asked)
        return StepGenerator(writer, identity, sampling)

    return BatchedStepModel(LazyBackend(build, batch_size), identity, opening.loop)


def as_local(spec: TrainedModel | PretrainedModel | GgufModel, folder: Path | None) -> PretrainedModel | GgufModel:
    """Return a model that the pipeline trained as what it is afterwards: one in a folder."""
    return PretrainedModel(name=str(folder)) if isinstance(spec, TrainedModel) else spec


def build_writer(
    spec: PretrainedModel | GgufModel, store: StepStore, batch_size: int, device: str, cache_bytes: int = 1 << 30
) -> Writer:
    """Load a language model that writes in process."""
    from trim.models.fixed_writing import FixedShapeWriter

    if is_ragged(spec):
        return build_reader(spec, store, batch_size, cache_bytes, device=device)
    return FixedShapeWriter(*_load(spec, store, device, whole=False), rows=batch_size, cache_bytes=cache_bytes)


def build_reader(
    spec: PretrainedModel | GgufModel,
    store: StepStore,
    batch_size: int,
    cache_bytes: int = 1 << 30,
    wish: PrmWish | None = None,
    device: str = "cpu",
) -> RaggedReader:
    """Load a language model that writes in process and tells what it reads, such as what a PRM wishes."""
    from trim.models.ragged import RaggedReader

    model, prompts = _load(spec, store, device)
    opened = partial(RaggedReader, model, prompts, batch_size=batch_size, cache_bytes=cache_bytes)
    if wish is None:
        return opened()
    inner, layers = () if wish.layer is None else (wish.layer - 1,), model.config.num_hidden_layers
    if inner and inner[0] >= layers:
        raise ConfigError(f"prms: layer {wish.layer} of pair.{wish.backbone}, which has {layers} layers; lower it")
    return opened(outputs=wish.outputs, hidden_layers=inner)


def build_fixed_reader(
    spec: PretrainedModel | GgufModel, store: StepStore, batch_size: int, cache_bytes: int, wish: PrmWish, device: str
) -> FixedShapeReader:
    """Load a language model that reads in passes of fixed shape what a PRM wishes."""
    from trim.models.transformers_backend import FixedShapeReader

    loaded = _load(spec, store, device, whole=False)
    return FixedShapeReader(*loaded, batch_size=batch_size, cache_bytes=cache_bytes, outputs=wish.outputs)


def _load(
    spec: PretrainedModel | GgufModel, store: StepStore, device: str, whole: bool = True
) -> tuple[Any, PrefixTokenizer]:
    from trim.models.prompts import PrefixTokenizer
    from trim.models.transformers_backend import load_model, load_to_read

    name = fetch_gguf(spec, store) if isinstance(spec, GgufModel) else spec.name
    revision = spec.revision if isinstance(spec, PretrainedModel) else None
    offline, dtype = Path(name).is_dir(), spec.dtype if device == "cpu" or is_ragged(spec) else None
    load = load_model if whole else load_to_read
    model, tokenizer = load(name, revision=revision, device=device, offline=offline, dtype=dtype)
    return model, PrefixTokenizer(tokenizer, system=spec.system)


def pair_reader(
    spec: Any,
    folder: Path | None,
    wish: PrmWish,
    store: StepStore,
    batch_size: int,
    cache_bytes: int = 1 << 30,
    device: str = "cpu",
) -> ReaderSource:
    """Name the reader of a language model of the pair that a PRM reads with; it is loaded when it is first asked for.

    Raises
    ------
    ConfigError
        If the model runs elsewhere.
    """
    if not isinstance(spec, TrainedModel | PretrainedModel | GgufModel):
        raise ConfigError(
            f"a PRM that reads with pair.{wish.backbone}, which must run in the job, not of kind {spec.kind}"
        )
    local = as_local(spec, folder)
    # No bit of what a small model reads hangs on what it reads beside it, but it has no layer within to read.
    fixed = wish.layer is None and not is_ragged(local)
    backend = f"transformers/{BACKEND_VERSION}" if fixed else f"ragged/{RAGGED_VERSION}"
    facts = {"system": local.system, "dtype": local.dtype, "backend": backend}
    identity = json.dumps({"model": identify_weights(local), **facts}, sort_keys=True)
    build = build_fixed_reader if fixed else build_reader
    return ReaderSource(identity, cache(lambda: build(local, store, batch_size, cache_bytes, wish, device)))


@dataclass(frozen=True, slots=True)
class PrmWish:
    """What a PRM wishes to know from a language model of the pair.

    Attributes
    ----------
    backbone
        Which one.
    outputs
        As of a reader.
    layer
        Layer after which hidden states are taken, from 1; None for the last.
    """

    backbone: Literal["weak", "strong"]
    outputs: Outputs
    layer: int | None


def prm_wish(prm: Path | GivenPRM | ReadingPRM | None) -> PrmWish | None:
    """Return what a PRM (its folder, or its section of the config) wishes to know from the pair, if anything."""
    if isinstance(prm, Path):
        from trim.models.prm_kinds import prm_section

        section = prm_section(prm)
        kinds: dict[str, type[ValuePRM] | type[ConfidencePRM]] = {"value": ValuePRM, "confidence": ConfidencePRM}
        prm = kinds[section["kind"]].model_validate(section) if section["kind"] in kinds else None
    if isinstance(prm, ConfidencePRM):
        return PrmWish(prm.backbone, "logits" if prm.reads == "entropy" else "likelihood", None)
    if isinstance(prm, ValuePRM):
        return PrmWish(prm.backbone, "likelihood" if "likelihood" in prm.reads else "logits", prm.layer)
    return None


def fetch_gguf(spec: GgufModel, store: StepStore) -> str:
    """Return the folder of a GGUF file's model; on the first call the file is fetched and dequantised."""
    folder = Path(spec.folder(str(store.root)))
    convert_gguf(lambda: _gguf_file(spec), spec.sha256, folder)
    return str(folder)


def _gguf_file(spec: GgufModel) -> Path:
    from huggingface_hub import hf_hub_download

    if spec.repository is None:
        return Path(spec.file)
    try:
        return Path(hf_hub_download(spec.repository, spec.file, revision=spec.revision))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{spec.repository}: {spec.file} cannot be fetched ({reason}); fetch it by hand, name its path as `file` "
            "and leave out `repository`"
        ) from error


def open_scorer(
    prm: Path | GivenPRM,
    store: StepStore,
    batch_size: int,
    loop: BatchLoop,
    device: str = "cpu",
    servers: Servers | None = None,
    reader: ReaderSource | None = None,
) -> StoredStepScorer:
    """Open a PRM behind the store: a folder that this pipeline trained, or one that nobody trains here.

    Parameters
    ----------
    reader
        Reads with a language model of the pair, for a PRM that wishes so (`prm_wish`).
    """
    if isinstance(prm, ServedPRM):
        return StoredStepScorer(open_served_scorer(prm, store, servers), store)
    if isinstance(prm, PretrainedPRM | TokenClassifierPRM):
        facts = prm.model_dump(mode="json", exclude={"name", "revision"})
        identity = identify(prm.name, prm.revision, batch_size, device, role="prm", **facts)
    else:
        shape = {"rows": None, "reader": reader.identity} if reader else {}
        identity = identify(str(prm), None, batch_size, ANY_DEVICE if reader else device, role="prm", **shape)

    def build() -> BatchBackend:
        from trim.models.prm import load_given
        from trim.models.prm_kinds import load_prm

        backend: BatchBackend
        if isinstance(prm, PretrainedPRM | TokenClassifierPRM):
            backend = load_given(prm, device, batch_size=batch_size)
        else:
            backend = load_prm(prm, device, batch_size=batch_size, **({"reader": reader} if reader else {}))
        return backend

    return StoredStepScorer(BatchedStepScorer(LazyBackend(build, batch_size), identity, loop), store)


def open_remote(spec: ServedModel | ApiModel, opening: Opening) -> StepModel:
    """Open a language model behind HTTP; nothing is asked or started before a step is missing."""
    from trim.models.served.api import ApiStepModel
    from trim.models.served.models import ServedStepModel
    from trim.models.served.spending import Ledger

    role, store, servers = opening.role, opening.store, opening.servers
    identity = identify_remote(spec, sampling=opening.sampling.model_dump(mode="json"))
    connect = _connector(role, spec, store, servers)
    if isinstance(spec, ServedModel):
        return ServedStepModel(spec, identity, opening.sampling, connect)
    endpoint = servers.endpoint(role) if servers else None
    if endpoint is None or endpoint.price is None:
        raise ConfigError(f"pair.{role} is an API model: serving.endpoints.{role} must name its url and price")
    paid = store.root / "spending" / short_digest(spec.name.encode())
    return ApiStepModel(spec, identity, opening.sampling, connect, Ledger(paid, endpoint.price))


def open_served_scorer(spec: ServedPRM, store: StepStore, servers: Servers | None) -> StepScorer:
    """Open a PRM on a pooling server; nothing is asked or started before a score is missing."""
    from trim.models.served.golden import golden_solutions
    from trim.models.served.models import ServedStepScorer

    connect = _connector("prm", spec, store, servers)
    identity = identify_remote(spec, role="prm")
    computed = store.root / "golden" / f"{short_digest(identity.encode())}.json"
    return ServedStepScorer(spec, identity, connect, lambda: golden_solutions(spec, computed))


def _connector(
    role: Role, spec: ServedModel | ServedPRM | ApiModel, store: StepStore, servers: Servers | None
) -> Callable[[], HttpClient]:
    """Announce a model to the servers, and return what connects to its own."""
    if servers is None:
        raise ConfigError(f"the {role} model is behind a server, but this job was opened without servers")
    if not isinstance(spec, ApiModel):
        servers.serve(role, spec)
    store.origin = servers.versions
    return lambda: servers.client(role)


def given_prm(params: Mapping[str, Any]) -> GivenPRM | None:
    """Return the PRM of a job where nobody trains it here; a trained one comes as a folder."""
    kinds: dict[str, type[GivenPRM]] = {kind.model_fields["kind"].default: kind for kind in get_args(GivenPRM)}
    prm = params.get("prm")
    return kinds[prm["kind"]].model_validate(prm) if prm else None


def with_cut_steps(pair: ModelPair) -> ModelPair:
    """Return the pair with steps that end at their token limit as if they ended by themselves."""
    return replace(pair, weak=CutSteps(pair.weak), strong=CutSteps(pair.strong))


def with_noise(prm: StepScorer, params: Mapping[str, Any]) -> StepScorer:
    """Return the PRM with the noise that the job's params ask for, if any."""
    return NoisyScorer(prm, params["noise"]) if params.get("noise") else prm
