"""What a job that runs models asks its machine for, from where the config says the models run."""

from __future__ import annotations

from collections.abc import Collection

from trim.config.experiment import Experiment
from trim.config.models import PRM, NoisyPRM, ReadingPRM
from trim.config.serving import Role

# Host memory: of a job with its tables; of a vLLM server with its worker processes; of a model of a few billion
# weights on its way to a GPU; of one of 1.5 billion from a GGUF file on the CPU (6.5 GB to convert it, measured, and
# as much to run it). The others are allowances, not measurements: a profile's retries ask for more.
JOB_MB = 4_000
SERVER_MB = 12_000
LOADED_MB = 16_000
GGUF_MB = 8_000


def job_gpus(experiment: Experiment, roles: Collection[Role], prm: str | None = None) -> int:
    """GPUs of a job that runs the models of these roles; servers that already run take none of them.

    Parameters
    ----------
    prm
        Which of `prms` has the role `prm`; by default the one that routes.
    """
    gpus = [0]
    for role in roles:
        where = _where(experiment, role, prm)
        if where == "own server":
            placed = experiment.serving.servers.get(role)
            gpus.append(max(placed.tensor_parallel, *(gpu + 1 for gpu in placed.gpus), 1) if placed else 1)
        elif where in ("trained", "pretrained", "gguf") and experiment.pair.device == "cuda":
            gpus.append(1)
    return max(gpus)


def job_memory_mb(experiment: Experiment, roles: Collection[Role], prm: str | None = None) -> int:
    """Host memory of a job that runs the models of these roles; `prm` as of `job_gpus`."""
    need = {"own server": SERVER_MB, "pretrained": LOADED_MB, "gguf": GGUF_MB}
    # A PRM that reads with a model of the pair shares it.
    loaded = {_backbone(_scorer(experiment, prm)) or role if role == "prm" else role for role in roles}
    return JOB_MB + sum(need.get(_where(experiment, role, prm), 0) for role in loaded)


def _where(experiment: Experiment, role: Role, prm: str | None) -> str:
    """Tell what the model of a role is to its job: an own server, one elsewhere, or in the job itself."""
    model = _scorer(experiment, prm) if role == "prm" else getattr(experiment.pair, role)
    if backbone := _backbone(model):
        return _where(experiment, backbone, None)
    if model.kind == "api" or (model.kind == "served" and role in experiment.serving.endpoints):
        return "elsewhere"
    if model.kind == "served":
        return "own server"
    if model.kind in ("pretrained", "token-classifier"):
        return "pretrained"
    return "gguf" if model.kind == "gguf" else "trained"


def _scorer(experiment: Experiment, prm: str | None) -> PRM:
    """Return a PRM itself, without noise."""
    model = experiment.prms[prm or experiment.pair.prm]
    return experiment.prms[model.of] if isinstance(model, NoisyPRM) else model


def _backbone(model: object) -> Role | None:
    """Return the role of the language model that a PRM reads with, if it does."""
    return model.backbone if isinstance(model, ReadingPRM) else None
