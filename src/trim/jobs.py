"""What every script of the workflow shares: its log, its progress, its errors, the origin of its results."""

from __future__ import annotations

import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter

from trim import __version__
from trim.config.experiment import config_hash, parse_config
from trim.config.models import LanguageModel, Sampling
from trim.errors import TrimError
from trim.models.batching import BatchLoop
from trim.models.opening import open_pair, open_scorer, served_prm, with_noise
from trim.models.protocols import ModelPair, StepScorer
from trim.models.store import StepStore
from trim.problems.grading import Grader, judge
from trim.problems.problem import read_problems
from trim.rollout.trees import Forest

if TYPE_CHECKING:
    from trim.models.served.servers import Servers

logger = logging.getLogger(__name__)

RECORDED_PACKAGES = ("torch", "transformers", "numpy", "pandas", "pyarrow", "snakemake", "matplotlib")
PROGRESS_SECONDS = 10.0
ROLES = ("weak", "strong", "prm")

Item = TypeVar("Item")


@contextmanager
def job(snakemake: Any) -> Iterator[logging.Logger]:
    """Run the body of a script: everything it logs goes to the rule's log, an error a user can mend is one sentence."""
    log = Path(snakemake.log[0])
    log.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        handlers=[logging.FileHandler(log, mode="w", encoding="utf-8")],
        force=True,
    )
    logging.captureWarnings(True)
    started = time.monotonic(), time.process_time()
    try:
        yield logger
    except TrimError as error:
        logger.error("%s", error)
        print(f"{snakemake.rule}: {error}", file=sys.stderr)
        sys.exit(1)
    except Exception:
        logger.exception("%s failed", snakemake.rule)
        raise
    logger.info("done in %.1f s, %.1f CPU s", time.monotonic() - started[0], time.process_time() - started[1])


def use_threads(count: int) -> None:
    """Fix the number of threads that torch computes with: it decides the last bit of every sum.

    Torch is not imported here, so that a job that finds all in the step store starts fast.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(count)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(count)


def progress(what: str) -> Callable[[int, int], None]:
    """Return a callback that says on the terminal and in the log, every few seconds, how far something is."""
    started = last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < PROGRESS_SECONDS and done < total:
            return
        if done == total and now - started < PROGRESS_SECONDS:
            return
        last = now
        left = (now - started) * (total - done) / max(done, 1)
        line = f"{what}: {done:,} of {total:,} ({done / total:.0%}), {now - started:.0f} s gone, {left:.0f} s left"
        logger.info("%s", line)
        print(line, file=sys.stderr, flush=True)

    return report


def shard(items: Sequence[Item], scatteritem: str) -> list[Item]:
    """Return the items of one part, named "2-of-3": every third one, so that parts take equally long."""
    index, _, count = scatteritem.partition("-of-")
    return list(items[int(index) - 1 :: int(count)])


@contextmanager
def open_job_store(snakemake: Any, part: str) -> Iterator[StepStore]:
    """Open the step store for one part of the data; whatever happens, what was computed is written."""
    experiment = parse_config(snakemake.config)
    store = StepStore(Path(experiment.step_store), part, experiment.offline)
    try:
        yield store
    finally:
        store.flush()
        for identity, counts in store.report().items():
            logger.info("step store: %s %s", counts, identity)


@contextmanager
def open_job_pair(snakemake: Any, part: str) -> Iterator[ModelPair]:
    """Open the models of a job behind the step store."""
    with closing(open_job_servers(snakemake)) as servers, _pair_on(servers, snakemake, part) as pair:
        yield pair


@contextmanager
def _pair_on(servers: Servers, snakemake: Any, part: str) -> Iterator[ModelPair]:
    use_threads(snakemake.threads)
    params = snakemake.params.pair
    language_model = TypeAdapter(LanguageModel)
    with open_job_store(snakemake, part) as store:
        pair = open_pair(
            language_model.validate_python(params["weak"]),
            language_model.validate_python(params["strong"]),
            {role: Path(folder) for role, folder in snakemake.input.items() if role in ROLES and folder},
            Sampling.model_validate(params["sampling"]),
            store,
            params["batch_size"],
            params["device"],
            served_prm(params),
            servers,
        )
        yield replace(pair, prm=with_noise(pair.prm, params)) if pair.prm else pair


@contextmanager
def open_job_forests(snakemake: Any, *splits: str) -> Iterator[list[Forest]]:
    """Open the explored trees of splits of `trained_on`, else of home; where a router leaves them, the models go on."""
    import pandas as pd

    params, forests = snakemake.params, []
    dataset = snakemake.wildcards.get("trained_on") or params.home
    with Grader() as grader, closing(open_job_servers(snakemake)) as servers, ExitStack() as stack:
        verdict = judge(grader, exact=params.labelled)
        for split in splits:
            problems = read_problems(Path(snakemake.input[f"{split}_problems"]))
            pair = stack.enter_context(_pair_on(servers, snakemake, f"{dataset}.{split}"))
            replicates = params.replicates["test" if split == "test" else "train"]
            forest = Forest(problems, replicates, params.pair["max_steps"], verdict, pair)
            forests.append(forest.load(pd.read_parquet(snakemake.input[f"{split}_forest"])))
        yield forests


@contextmanager
def open_job_scorer(snakemake: Any, part: str) -> Iterator[StepScorer]:
    """Open the PRM of a job behind the step store."""
    use_threads(snakemake.threads)
    pair = snakemake.params.pair
    with open_job_store(snakemake, part) as store, closing(open_job_servers(snakemake)) as servers:
        prm = served_prm(pair) or Path(snakemake.input.prm)
        scorer = open_scorer(prm, store, pair["batch_size"], BatchLoop(), pair["device"], servers)
        yield with_noise(scorer, pair)


def open_job_servers(snakemake: Any) -> Servers:
    """Return the model servers of a job, none of them started; their logs lie beside the rule's log."""
    from trim.models.served.servers import Servers

    log = Path(snakemake.log[0])
    return Servers(parse_config(snakemake.config).serving, log.with_suffix(""))


def provenance(snakemake: Any) -> dict[str, Any]:
    """Say where a result comes from: the hash of its config, code, seed and package versions."""
    experiment = parse_config(snakemake.config)
    decisive = experiment.model_dump(mode="json", exclude={"offline", "step_store", "serving"})
    return {
        "config_hash": config_hash(decisive),
        "code": _code_version(),
        "seed": experiment.seed,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in RECORDED_PACKAGES},
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def _code_version() -> str:
    """Return the release, and the commit where the code lies in a git checkout."""
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return __version__
    return f"{__version__}+{commit}"
