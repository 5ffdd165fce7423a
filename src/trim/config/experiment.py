"""The one definition of an experiment's configuration.

`config.yaml`, `docs/configuration.md` and `docs/config.schema.json` are generated from
these models (`trim config --write`); a test fails when they drift. Runtime knobs
(threads, memory, partitions) are not here: they live in `profiles/`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field

from trim.config.datasets import ArithmeticFamily, Dataset, Sizes
from trim.config.models import (
    PRM,
    Architecture,
    ClassifierPRM,
    ConfidencePRM,
    GgufModel,
    GivenPRM,
    LanguageModel,
    LikelihoodPRM,
    NoisyPRM,
    PretrainedModel,
    ReadingPRM,
    Sampling,
    TrainedModel,
)
from trim.config.prices import PriceVector, default_prices
from trim.config.routers import Routers
from trim.config.section import LONGEST_NAME, NAME, Count, FilePath, Flag, Label, Number, Section, Share, unrepeated
from trim.config.serving import Serving


def _strong() -> TrainedModel:
    return TrainedModel(
        architecture=Architecture(hidden_size=96, layers=3, intermediate_size=256),
        training_steps=3200,
        accuracy_band=(0.8, 0.95),
        stop_at=0.88,
        check_every=100,
    )


class Pair(Section):
    """The two language models and the PRM between which routers choose."""

    name: Label = Field("tiny", description="names the pair in tables")
    weak: LanguageModel = Field(default_factory=TrainedModel, description="the cheap model that drafts")
    strong: LanguageModel = Field(default_factory=_strong, description="the expensive model that regenerates")
    prm: str = Field("verifier", description="which entry of `prms` routes")
    device: Literal["cpu", "cuda"] = Field("cpu", description="where in-process models run; only cpu is bit-exact")
    batch_size: Count = Field(64, description="rows of every forward pass; part of what defines a step on the CPU")
    cache_mb: Count = Field(
        1024,
        description="MB for what an in-process language model knows of live prefixes; decides no result",
    )
    published: Literal["paper", "log"] | None = Field(
        None, description="whose points figures show beside ours: the paper's pair, or that of the official code's logs"
    )


# --- evaluation ------------------------------------------------------------------------


class Replicates(Section):
    """How many independent samples of each problem."""

    train: Count = Field(2, description="on every split but test")
    test: Count = Field(1, description="on the test split")


class Bootstrap(Section):
    """Confidence intervals by resampling problems."""

    resamples: int = Field(2000, ge=20, strict=True, le=1_000_000, description="bootstrap resamples")
    level: Number = Field(0.95, gt=0, lt=1, description="confidence level")
    compared_shares: tuple[Share, ...] = Field(
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), description="strong shares at which routers are compared pairwise"
    )


class Planners(Section):
    """Planners that are held against our exact solution, on the POMDP that was fitted on the main dataset."""

    kappas: Annotated[tuple[Annotated[Number, Field(gt=0)], ...], AfterValidator(unrepeated)] = Field(
        (0.1, 0.4, 1.6), description="trade-offs; the nearest of `routers.kappa` are taken; empty for no comparison"
    )
    simulations: Annotated[tuple[Count, ...], AfterValidator(unrepeated)] = Field(
        (10, 100, 1000), min_length=1, description="simulations of pomdp-py's POUCT for each decision"
    )
    rollouts: Annotated[tuple[Literal["random", "threshold"], ...], AfterValidator(unrepeated)] = Field(
        ("random", "threshold"),
        min_length=1,
        description="what plays on where POUCT's tree ends: either action at random, as pomdp-py has it, or the best "
        "threshold on the draft's score",
    )
    episodes: int = Field(20, ge=2, le=1_000_000, strict=True, description="simulated episodes of each planner")
    sarsop: FilePath | None = Field(None, description="SARSOP's program `pomdpsol`, if there is one")
    sarsop_seconds: Count = Field(60, description="time that SARSOP has for each kappa")


def _datasets() -> dict[str, Dataset]:
    return {
        "arith": ArithmeticFamily(p_two_digits=0.3, sizes=Sizes(prm_train=600, router_train=500, dev=400, test=1000)),
        "arith-hard": ArithmeticFamily(
            min_steps=8, max_steps=12, p_multiply=0.45, p_two_digits=0.4, sizes=Sizes(router_train=250, dev=200)
        ),
        "arith-words": ArithmeticFamily(wording="words", p_multiply=0.35),
    }


def _prms() -> dict[str, PRM]:
    return {
        "verifier": LikelihoodPRM(),
        "classifier": ClassifierPRM(),
        "sharp": LikelihoodPRM(backbone="strong", tuning_steps=0),
        "noisy": NoisyPRM(),
        "first-token": ConfidencePRM(reads="entropy"),
        "mean-token": ConfidencePRM(reads="mean"),
        "lowest-token": ConfidencePRM(reads="lowest"),
    }


class Experiment(Section):
    """One experiment: everything that decides its results."""

    experiment: str = Field(
        "embedded", pattern=f"^{NAME}$", max_length=LONGEST_NAME, description="directory under results/"
    )
    seed: int = Field(2026, ge=0, lt=2**63, strict=True, description="root of every random seed")
    datasets: dict[str, Dataset] = Field(default_factory=_datasets, description="the problems, by name")
    main_dataset: str = Field(
        "arith", description="where models are picked on dev, PRMs and variants of routers are trained and compared"
    )
    evaluated_on: Annotated[tuple[str, ...], AfterValidator(unrepeated)] = Field(
        ("arith", "arith-hard", "arith-words"), min_length=1, description="datasets whose test split is evaluated"
    )
    training_mix: dict[str, Annotated[Number, Field(gt=0, allow_inf_nan=False)]] = Field(
        default_factory=lambda: {"arith": 0.5, "arith-hard": 0.2, "arith-words": 0.3},
        description="share of each dataset in what the language models are trained on",
    )
    pair: Pair = Field(default_factory=Pair, description="the models")
    prms: dict[str, PRM] = Field(
        default_factory=_prms, description="PRMs that can be trained, by name; `pair.prm` picks the one that routes"
    )
    reported_prms: Annotated[tuple[str, ...], AfterValidator(unrepeated)] = Field(
        ("noisy", "classifier", "sharp", "first-token", "mean-token", "lowest-token"),
        description="further PRMs: trained, reported on and routed by on the main dataset: what PRM quality buys; "
        "those of kind confidence by thresholds alone",
    )
    sampling: Sampling = Field(default_factory=Sampling, description="how steps are sampled")
    max_steps: Count = Field(30, description="steps after which an episode ends (paper: 30)")
    long_steps: Literal["end", "cut"] = Field(
        "end",
        description="what a step that reaches sampling.max_step_tokens does: `end` ends the solution there (paper, "
        "whose limit is rarely reached), `cut` ends the step alone, and the solution goes on behind it",
    )
    replicates: Replicates = Field(default_factory=Replicates, description="independent samples of a problem")
    routers: Routers = Field(
        default_factory=Routers,
        description="routers: how they are fitted and run",
    )
    bootstrap: Bootstrap = Field(default_factory=Bootstrap, description="confidence intervals")
    planners: Planners = Field(default_factory=Planners, description="what else could plan for TRIM-POMDP")
    prices: dict[str, PriceVector] = Field(
        default_factory=default_prices,
        min_length=1,
        description="what tokens cost, by name; all other tables and figures take the paper's cost, `decoded`",
    )
    manuscript: FilePath = Field(
        "paper/main.tex", description="LaTeX text whose numbers, tables and figures are this experiment's; decides none"
    )
    step_store: FilePath = Field("step_store", description="folder of the step store, shared by all experiments")
    offline: Flag = Field(False, description="replay from the step store alone; a missing step is an error")
    serving: Serving = Field(default_factory=Serving, description="how servers are started and reached")

    @property
    def results(self) -> str:
        """Folder of all that the experiment leaves behind."""
        return f"results/{self.experiment}"

    @property
    def decisive(self) -> dict[str, Any]:
        """All that decides results, as JSON has it: not the text, where the store is, or how servers are reached."""
        ignored: Any = {name: True for name in ("manuscript", "offline", "step_store", "serving")}
        ignored["pair"] = {"cache_mb"}
        return self.model_dump(mode="json", exclude=ignored)

    def labelled(self, dataset: str) -> bool:
        """Tell whether steps of a dataset have exact labels."""
        return isinstance(self.datasets[dataset], ArithmeticFamily)

    @property
    def compared_on(self) -> str:
        """Dataset with the test problems of routers that are fitted on the main dataset with other PRMs.

        The main dataset itself; the first evaluated one where it has none that are, as a training set from a file.
        """
        at_home = self.labelled(self.main_dataset) or self.main_dataset in self.evaluated_on
        return self.main_dataset if at_home else self.evaluated_on[0]

    @property
    def plans(self) -> bool:
        """Whether planners are compared: there are trade-offs, and a POMDP that was fitted on the main dataset."""
        fitted = self.main_dataset in self.routers.trained_on and "default" in self.routers.pomdp.variants
        return fitted and bool(self.planners.kappas)

    @property
    def measured(self) -> list[tuple[str, str, str]]:
        """(PRM, dataset, split) with labelled steps, by which PRMs are judged.

        The PRM that routes wherever test steps have labels or solutions came with them, others on the main dataset.
        """
        labelled = filter(self.labelled, self.evaluated_on)
        solved = [name for name, data in self.datasets.items() if getattr(data, "layout", None) == "processbench"]
        found = [(self.pair.prm, name, "test") for name in labelled]
        found += [(self.pair.prm, name, "router_train") for name in solved]
        reported = self.reported_prms if self.labelled(self.main_dataset) else ()
        return found + [(prm, self.main_dataset, "test") for prm in reported]

    @property
    def trained(self) -> tuple[str, ...]:
        """Models that the pipeline itself trains."""
        models = {"pair.weak": self.pair.weak, "pair.strong": self.pair.strong}
        used = {f"prms.{name}": self.prms[name] for name in self.used_prms if name in self.prms}
        found = tuple(key for key, model in models.items() if model.kind == "trained")
        return found + tuple(key for key, prm in used.items() if not isinstance(prm, GivenPRM | NoisyPRM | ReadingPRM))

    @property
    def frozen_encoder(self) -> PretrainedModel | GgufModel | None:
        """What reads problems for query-level baselines that leave it as it is; None: the weak model trained here."""
        query, weak = self.routers.query, self.pair.weak
        if isinstance(weak, PretrainedModel | GgufModel) and not query.encoder:
            return weak
        name, revision = query.encoder or getattr(weak, "name", None), getattr(weak, "revision", None)
        return PretrainedModel(name=name, revision=query.revision if query.encoder else revision) if name else None

    @property
    def used_prms(self) -> tuple[str, ...]:
        """Names of the PRMs in use, and of what is under the noisy ones."""
        used = [self.prms.get(name) for name in (self.pair.prm, *self.reported_prms)]
        under = [prm.of for prm in used if isinstance(prm, NoisyPRM)]
        return (self.pair.prm, *self.reported_prms, *under)


def config_hash(section: BaseModel | Mapping[str, Any]) -> str:
    """Twelve hex digits that identify a config or a part of one."""
    content = section.model_dump(mode="json") if isinstance(section, BaseModel) else section
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
