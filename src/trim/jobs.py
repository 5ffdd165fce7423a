"""What every script of the workflow shares: log, progress, errors, models, and the origin of its results."""

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
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter

from trim import __version__
from trim.config.experiment import Experiment, config_hash
from trim.config.models import GivenPRM, LanguageModel, ReadingPRM, Sampling
from trim.config.parsing import parse_config
from trim.errors import TrimError, about_disk, about_gpu
from trim.files import read_parquet, write_csv, write_json, write_parquet, written_aside
from trim.layouts import NODES
from trim.models.batching import BatchLoop
from trim.models.checkpoints import checkpoint_facts
from trim.models.kept import CHECKPOINTS, Kept
from trim.models.opening import given_prm, open_pair, open_scorer, pair_reader, prm_wish, with_cut_steps, with_noise
from trim.models.protocols import ModelPair, StepScorer
from trim.models.store import StepStore
from trim.problems.grading import Grader, judge
from trim.problems.problem import Problem, read_problems
from trim.progress import Progress
from trim.rollout.trees import RolloutTrees
from trim.shipped import workflow_root

if TYPE_CHECKING:
    import pandas as pd

    from trim.models.encoder import Encoder
    from trim.models.model_kinds import ReaderSource
    from trim.models.served.servers import Servers
    from trim.models.vectors import TextReader

RECORDED_PACKAGES = ("torch", "transformers", "numpy", "pandas", "pyarrow", "snakemake", "matplotlib")
PROGRESS_SECONDS = 10.0
ROLES = ("weak", "strong", "prm")

Item = TypeVar("Item")


class Job:
    """One job of the workflow: what a rule gives its script, and what all scripts do with it.

    Parameters
    ----------
    snakemake
        What Snakemake puts into a script, or `trim.debug` in its place.
    """

    def __init__(self, snakemake: Any) -> None:
        self.rule: str = snakemake.rule
        self.input, self.output, self.params = snakemake.input, snakemake.output, snakemake.params
        self.wildcards, self.threads = snakemake.wildcards, snakemake.threads
        self.log_file = Path(snakemake.log[0])
        self.log = logging.getLogger(f"trim.workflow.{self.rule}")
        self._config = snakemake.config
        self._grader: Grader | None = None

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment's config."""
        return parse_config(self._config)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Where the results come from: the hash of the config, code, seed and package versions."""
        return origin_of(self.experiment)

    @property
    def kept(self) -> Kept:
        """What the step store keeps beside steps and scores."""
        return Kept(Path(self.experiment.step_store), self.experiment.offline)

    def checkpoint(self, name: str) -> dict[str, Any]:
        """Return what decides a model that this job trains, by the name of its folder."""
        return checkpoint_facts(self.experiment, name, self.params.version)

    def take_checkpoint(self, name: str, folder: Path) -> bool:
        """Fill a folder with the model that somebody else trained and handed over, if there is one; tell whether."""
        taken = self.kept.restore(CHECKPOINTS, self.checkpoint(name), folder)
        if taken:
            self.log.info("not trained, but taken from %s", self.kept.place(CHECKPOINTS, self.checkpoint(name)))
        return taken

    # --- what a job reads and writes ----------------------------------------------------

    def problems(self, name: str = "problems") -> list[Problem]:
        """Read the problems of one input."""
        return read_problems(Path(self.input[name]))

    def shard(self, items: Sequence[Item]) -> list[Item]:
        """Return the items of this job's part, named "2-of-3": every third one, so that parts take equally long."""
        index, _, count = self.wildcards.scatteritem.partition("-of-")
        return list(items[int(index) - 1 :: int(count)])

    def write_parquet(self, frame: pd.DataFrame, path: str | Path) -> None:
        """Write a table with its provenance, and with what the grader could not compare, if the job graded."""
        graded = {"grading": self._grader.summary()} if self._grader else {}
        write_parquet(frame, path, {**self.provenance, **graded})

    def write_json(self, content: dict[str, Any], path: str | Path) -> None:
        """Write JSON with its provenance."""
        write_json({**content, "provenance": self.provenance}, path)

    def write_csv(self, frame: pd.DataFrame, path: str | Path, exact: Sequence[str] = ()) -> None:
        """Write a table of results."""
        write_csv(frame, path, exact)

    def write_text(self, text: str, path: str | Path) -> None:
        """Write text whole or not at all."""
        with written_aside(path) as aside:
            aside.write_text(text, encoding="utf-8")

    # --- progress -----------------------------------------------------------------------

    def progress(self, what: str) -> Progress:
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
            line = f"{what}: {done:,} of {total:,} ({done / total:.0%}), {now - started:.0f} s gone"
            if done:
                line += f", {(now - started) * (total - done) / done:.0f} s left"
            self.log.info("%s", line)
            print(line, file=sys.stderr, flush=True)

        return report

    # --- models, behind the step store --------------------------------------------------

    @contextmanager
    def grader(self) -> Iterator[Grader]:
        """Open what compares answers with references."""
        with Grader() as self._grader:
            yield self._grader

    @contextmanager
    def pair(self, part: str) -> Iterator[ModelPair]:
        """Open the models of the job behind the part of the step store that is of one dataset and split."""
        with closing(self._servers()) as servers, self._pair_on(servers, part) as pair:
            yield pair

    @contextmanager
    def scorer(self, part: str) -> Iterator[StepScorer]:
        """Open the PRM of the job behind the step store."""
        use_threads(self.threads)
        pair = self.params.pair
        with self._store(part) as store, closing(self._servers()) as servers:
            prm = given_prm(pair) or Path(self.input.prm)
            reader = self._backbone(prm, store)
            scorer = open_scorer(prm, store, pair["batch_size"], BatchLoop(), pair["device"], servers, reader)
            yield with_noise(scorer, pair)

    @contextmanager
    def backbone(self, prm: ReadingPRM | None) -> Iterator[ReaderSource | None]:
        """Open the language model of the pair that a PRM reads with in training, if it is a PRM that does so."""
        use_threads(self.threads)
        with self._store("prm_train") as store:
            yield self._backbone(prm, store)

    def _backbone(self, prm: Path | GivenPRM | ReadingPRM | None, store: StepStore) -> ReaderSource | None:
        wish = prm_wish(prm)
        if wish is None:
            return None
        spec = TypeAdapter(LanguageModel).validate_python(self.params.pair["backbone"])
        folder = Path(self.input.backbone) if self.input.backbone else None
        pair, room = self.params.pair, self.experiment.pair.cache_mb << 20
        return pair_reader(spec, folder, wish, store, pair["batch_size"], room, pair["device"])

    @contextmanager
    def trees(self, dataset: str, *splits: str, labelled: bool) -> Iterator[list[RolloutTrees]]:
        """Open the rollout trees of splits of a dataset, explored or not; where a router leaves them, models go on.

        The problems of a split are the input `{split}_problems`, or `problems` where there is one split alone; its
        explored trees, if any, `{split}_trees`. With the param `tree_budget`, no router leaves what is explored: but on
        the test split, which nothing bounds. With the param `compared_on`, the test split is that of this dataset.
        """
        with self.grader() as grader, closing(self._servers()) as servers, ExitStack() as stack:
            verdict, grown = judge(grader, exact=labelled), []
            for split in splits:
                of = self.params.get("compared_on", dataset) if split == "test" else dataset
                pair = stack.enter_context(self._pair_on(servers, f"{of}.{split}"))
                replicates = self.params.replicates["test" if split == "test" else "train"]
                trees = RolloutTrees(
                    self.problems(f"{split}_problems" if f"{split}_problems" in self.input.keys() else "problems"),
                    replicates,
                    self.params.pair["max_steps"],
                    verdict,
                    pair,
                )
                if explored := self.input.get(f"{split}_trees"):
                    trees.load(read_parquet(explored, NODES))
                    if split != "test" and self.params.get("tree_budget"):
                        trees.close()
                grown.append(trees)
            yield grown

    @contextmanager
    def _pair_on(self, servers: Servers, part: str) -> Iterator[ModelPair]:
        use_threads(self.threads)
        params, language_model = self.params.pair, TypeAdapter(LanguageModel)
        with self._store(part) as store:
            pair = open_pair(
                language_model.validate_python(params["weak"]),
                language_model.validate_python(params["strong"]),
                {role: Path(folder) for role, folder in self.input.items() if role in ROLES and folder},
                Sampling.model_validate(params["sampling"]),
                store,
                params["batch_size"],
                params["device"],
                given_prm(params),
                servers,
                self.experiment.pair.cache_mb << 20,
            )
            if params.get("long_steps") == "cut":
                pair = with_cut_steps(pair)
            yield replace(pair, prm=with_noise(pair.prm, params)) if pair.prm else pair

    def new_encoder(self) -> Encoder:
        """Load the encoder of the query-level baselines, to be tuned."""
        from trim.models.encoder import Encoder

        use_threads(self.threads)
        params = self.params
        return Encoder(params.encoder or self.input.encoder, revision=params.revision, device=params.device)

    def text_reader(self, part: str) -> TextReader:
        """Open what reads texts for query-level baselines: an encoder, or the stored vectors of one that stays frozen.

        Parameters
        ----------
        part
            Dataset and split, as of the step store.
        """
        if "frozen" not in self.params.keys():
            return self._encoder
        from trim.models.vectors import StoredVectors

        return StoredVectors(self._step_store(part), *self._frozen)

    @cached_property
    def _encoder(self) -> Encoder:
        return self.new_encoder()

    @cached_property
    def _frozen(self) -> tuple[str, Callable[[], TextReader]]:
        """Identity of the encoder that stays frozen, and what loads it, once."""
        from trim.models.vectors import FrozenModel, identify_encoder, load_frozen

        own = {"kind": "pretrained", "name": str(self.input.get("encoder"))}
        spec: FrozenModel = TypeAdapter(FrozenModel).validate_python(self.params.frozen or own)

        def load() -> TextReader:
            use_threads(self.threads)
            return load_frozen(spec, self._step_store(""), self.params.device)

        return identify_encoder(spec), cache(load)

    def _step_store(self, part: str) -> StepStore:
        return StepStore(Path(self.experiment.step_store), part, self.experiment.offline)

    @contextmanager
    def _store(self, part: str) -> Iterator[StepStore]:
        """Open the step store for one part of the data; whatever happens, what was computed is written."""
        store = self._step_store(part)
        try:
            yield store
        finally:
            store.flush()
            if store.lost:
                self.log.warning("%s", store.lost)
                print(f"{self.rule}: {store.lost}", file=sys.stderr, flush=True)
            for identity, counts in store.report().items():
                self.log.info("step store: %s %s", counts, identity)

    def _servers(self) -> Servers:
        """Return the model servers of the job, none of them started; their logs lie beside the rule's log."""
        from trim.models.served.servers import Servers

        return Servers(self.experiment.serving, self.log_file.with_suffix(""))


@contextmanager
def open_job(snakemake: Any) -> Iterator[Job]:
    """Run the body of a script: what it logs goes to the rule's log, an error that a user can fix is one sentence."""
    job = Job(snakemake)
    started = time.monotonic(), time.process_time()
    try:
        _open_log(job.log_file)
        yield job
    except Exception as error:
        said = error if isinstance(error, TrimError) else about_gpu(error) or about_disk(error, job.log_file)
        if said is None:
            job.log.exception("%s failed", job.rule)
            raise
        job.log.error("%s", said)
        print(f"{job.rule}: {said}", file=sys.stderr)
        sys.exit(1)
    job.log.info("done in %.1f s, %.1f CPU s", time.monotonic() - started[0], time.process_time() - started[1])


def _open_log(path: Path) -> None:
    logging.raiseExceptions, logging.lastResort = False, None  # on a full disk, the log's own error helps nobody
    path.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        handlers=[logging.FileHandler(path, mode="w", encoding="utf-8")],
        force=True,
    )
    logging.captureWarnings(True)


def use_threads(count: int) -> None:
    """Fix the number of threads that torch computes with: it decides the last bit of every sum.

    Torch is not imported here, so that a job that finds all in the step store starts fast.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(count)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(count)


def origin_of(experiment: Experiment) -> dict[str, Any]:
    """Say where results of an experiment come from: the hash of what decides them, code, seed and package versions."""
    return {
        "config_hash": config_hash(experiment.decisive),
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
    """Return the release, and the commit where the code is that of a git checkout."""
    if not (workflow_root() / ".git").exists():  # an installed package may lie in somebody else's
        return __version__
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
