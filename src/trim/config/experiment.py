"""The one definition of an experiment's configuration.

`config.yaml`, `docs/configuration.md` and `docs/config.schema.json` are generated from
these models (`trim config --write`); a test fails when they drift. Runtime knobs
(threads, memory, partitions) are not here: they live in `profiles/`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from trim.config.datasets import ArithmeticFamily as ArithmeticFamily
from trim.config.datasets import Dataset as Dataset
from trim.config.datasets import FileDataset as FileDataset
from trim.config.datasets import Sizes as Sizes
from trim.config.models import (
    PRM,
    ApiModel,
    Architecture,
    ClassifierPRM,
    LanguageModel,
    LikelihoodPRM,
    NoisyPRM,
    Sampling,
    ServedPRM,
    TrainedModel,
)
from trim.config.overlay import settled
from trim.config.routers import Routers
from trim.config.section import Count, Section, Share
from trim.config.serving import Serving
from trim.errors import ConfigError

NAME = "[A-Za-z0-9_-]+"


# --- models -----------------------------------------------------------------------------


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

    name: str = Field("tiny", description="names the pair in tables")
    weak: LanguageModel = Field(default_factory=TrainedModel, description="the cheap model that drafts")
    strong: LanguageModel = Field(default_factory=_strong, description="the expensive model that regenerates")
    prm: str = Field("verifier", description="which entry of `prms` routes")
    home: str = Field(
        "arith", description="dataset on whose dev split snapshots are picked, and whose rollouts train the PRM"
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="where in-process models run; only cpu is bit-exact")
    batch_size: Count = Field(64, description="rows of every forward pass; part of what defines a step on the CPU")
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

    resamples: Count = Field(2000, description="bootstrap resamples")
    level: float = Field(0.95, gt=0, lt=1, description="confidence level")
    compared_shares: tuple[Share, ...] = Field(
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), description="strong shares at which routers are compared pairwise"
    )


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
    }


class Experiment(Section):
    """One experiment: everything that decides its results."""

    experiment: str = Field("embedded", pattern=f"^{NAME}$", description="directory under results/")
    seed: int = Field(2026, ge=0, description="root of every random seed")
    datasets: dict[str, Dataset] = Field(default_factory=_datasets, description="the problems, by name")
    evaluated_on: tuple[str, ...] = Field(
        ("arith", "arith-hard", "arith-words"), description="datasets whose test split is evaluated"
    )
    training_mix: dict[str, float] = Field(
        default_factory=lambda: {"arith": 0.5, "arith-hard": 0.2, "arith-words": 0.3},
        description="share of each dataset in what the language models are trained on",
    )
    pair: Pair = Field(default_factory=Pair, description="the models")
    prms: dict[str, PRM] = Field(
        default_factory=_prms, description="PRMs that can be trained, by name; `pair.prm` picks the one that routes"
    )
    reported_prms: tuple[str, ...] = Field(
        ("noisy", "classifier", "sharp"),
        description="further PRMs at home: to train, to report on, and to route by, which shows what PRM quality buys",
    )
    sampling: Sampling = Field(default_factory=Sampling, description="how steps are sampled")
    max_steps: Count = Field(30, description="steps after which an episode ends (paper: 30)")
    replicates: Replicates = Field(default_factory=Replicates, description="independent samples of a problem")
    routers: Routers = Field(default_factory=Routers, description="operating points")
    bootstrap: Bootstrap = Field(default_factory=Bootstrap, description="confidence intervals")
    step_store: str = Field("step_store", description="folder of the step store, shared by all experiments")
    offline: bool = Field(False, description="replay from the step store alone; a missing step is an error")
    serving: Serving = Field(default_factory=Serving, description="how servers are started and reached")

    @model_validator(mode="after")
    def _api_models_are_reachable(self) -> Experiment:
        for role in ("weak", "strong"):
            endpoint = self.serving.endpoints.get(role)
            if isinstance(getattr(self.pair, role), ApiModel) and (endpoint is None or endpoint.price is None):
                raise ValueError(f"pair.{role} is an API model: serving.endpoints.{role} must name its url and price")
        return self

    @property
    def results(self) -> str:
        """Folder of all that the experiment leaves behind."""
        return f"results/{self.experiment}"

    @property
    def measured(self) -> list[tuple[str, str, str]]:
        """(PRM, dataset, split) with labelled steps, by which PRMs are judged.

        The PRM that routes wherever test steps have labels or solutions came with them, each reported one at home.
        """
        labelled = [name for name in self.evaluated_on if isinstance(self.datasets[name], ArithmeticFamily)]
        solved = [name for name, data in self.datasets.items() if getattr(data, "layout", None) == "processbench"]
        found = [(self.pair.prm, name, "test") for name in labelled]
        found += [(self.pair.prm, name, "router_train") for name in solved]
        return found + [(prm, self.pair.home, "test") for prm in self.reported_prms]

    @property
    def trained(self) -> tuple[str, ...]:
        """Models that the pipeline itself trains."""
        models = {"pair.weak": self.pair.weak, "pair.strong": self.pair.strong}
        used = {f"prms.{name}": self.prms[name] for name in self._bases if name in self.prms}
        return tuple(
            key for key, model in {**models, **used}.items() if model.kind in ("trained", "likelihood", "classifier")
        )

    @property
    def _bases(self) -> tuple[str, ...]:
        """Names of the PRMs in use, and of what is under the noisy ones."""
        used = [self.prms.get(name) for name in (self.pair.prm, *self.reported_prms)]
        under = [prm.of for prm in used if isinstance(prm, NoisyPRM)]
        return (self.pair.prm, *self.reported_prms, *under)

    @model_validator(mode="after")
    def _names_exist(self) -> Experiment:
        for key, names in {
            "evaluated_on": self.evaluated_on,
            "training_mix": tuple(self.training_mix),
            "routers.trained_on": self.routers.trained_on,
            "pair.home": (self.pair.home,),
        }.items():
            for name in names:
                if name not in self.datasets:
                    raise ValueError(f"{key} names {name!r}, which is not under datasets: {', '.join(self.datasets)}")
        if self.trained and not (
            isinstance(home := self.datasets[self.pair.home], ArithmeticFamily)
            and {"prm_train", "dev"} <= home.filled_splits
        ):
            raise ValueError(
                f"pair.home is {self.pair.home!r}, which must be arithmetic (its steps have labels) with prm_train and "
                f"dev problems, because the pipeline trains {', '.join(self.trained)}"
            )
        for name, dataset in self.datasets.items():
            for other in dataset.without if isinstance(dataset, FileDataset) else ():
                twin = self.datasets.get(other)
                leaves_out = isinstance(twin, FileDataset) and twin.without
                if twin is None or "test" not in twin.filled_splits or leaves_out:
                    raise ValueError(
                        f"datasets.{name}.without names {other!r}, which must be a dataset with test problems that "
                        "leaves nothing out itself"
                    )
        for name in self.training_mix:
            if not isinstance(self.datasets[name], ArithmeticFamily):
                raise ValueError(f"training_mix names {name!r}, which is not arithmetic: it has no worked solutions")
        for key, names, needed in (
            ("routers.trained_on", self.routers.trained_on, {"router_train", "dev"}),
            ("evaluated_on", self.evaluated_on, {"test"}),
        ):
            for name in names:
                if lacking := sorted(needed - self.datasets[name].filled_splits):
                    raise ValueError(f"{key} names {name!r}, which has no {' and no '.join(lacking)} problems")
        for name in self._bases:
            if name not in self.prms:
                raise ValueError(f"PRM {name!r} is not under prms: {', '.join(self.prms)}")
            prm = self.prms[name]
            if isinstance(prm, NoisyPRM):
                if isinstance(self.prms.get(prm.of), NoisyPRM):
                    raise ValueError(f"PRM {name!r} is made of {prm.of!r}, which is noisy itself")
            elif not isinstance(prm, ServedPRM) and getattr(self.pair, prm.backbone).kind != "trained":
                raise ValueError(f"PRM {name!r} starts from pair.{prm.backbone}, which is not trained by the pipeline")
        for name in (*self.datasets, *self.prms):
            if not re.fullmatch(NAME, name) or name == "untrained":
                raise ValueError(f"{name!r} cannot name a dataset or PRM: letters, digits, - and _ only, not untrained")
        unlabelled = [n for n in self.routers.trained_on if not isinstance(self.datasets[n], ArithmeticFamily)]
        if unlabelled and self.routers.pomdp.variants and self.routers.pomdp.observed_on not in self.datasets:
            raise ValueError(
                f"routers.trained_on names {unlabelled[0]!r}, whose steps have no labels: name a dataset of labelled "
                "solutions (layout processbench) as routers.pomdp.observed_on, or leave routers.pomdp.variants empty"
            )
        if "default" not in self.routers.variants:
            raise ValueError("routers.variants lacks 'default', which the other variants start from")
        return self


def parse_config(content: Mapping[str, Any]) -> Experiment:
    """Check a config and return it.

    Raises
    ------
    ConfigError
        One sentence that names each wrong key and says what is wrong with it.
    """
    if not isinstance(content, Mapping):
        raise ConfigError(f"config: expected keys with values, found a {type(content).__name__}")
    try:
        return Experiment.model_validate(settled(content, Experiment().model_dump(mode="json")))
    except ValidationError as error:
        raise ConfigError("config: " + "; ".join(_describe(e) for e in error.errors())) from None


def _describe(error: Any) -> str:
    tags = {"arithmetic", "jsonl", "hub", "trained", "pretrained", "likelihood", "classifier", "noisy", "served", "api"}
    # The tag of a union stands third: prms.classifier.classifier.tuning_steps; the name before it may be the same.
    key = ".".join(str(part) for i, part in enumerate(error["loc"]) if i != 2 or part not in tags)
    if error["type"] == "extra_forbidden":
        return f"unknown key {key!r}; remove it, or see docs/configuration.md for the keys there are"
    if error["type"] == "missing":
        return f"key {key!r} is missing"
    message = error["msg"].removeprefix("Value error, ")
    return f"{key}: {message}" if key else message


def config_hash(section: BaseModel | Mapping[str, Any]) -> str:
    """Twelve hex digits that identify a config or a part of one."""
    content = section.model_dump(mode="json") if isinstance(section, BaseModel) else section
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
