"""What the parts of a config must fit together to: each check says what is wrong in one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trim.config.datasets import ArithmeticFamily, FileDataset
from trim.config.experiment import Experiment
from trim.config.models import ApiModel, NoisyPRM, ReadingPRM, ServedPRM
from trim.config.section import LONGEST_NAME, NAME

RESERVED = ("untrained", "by_prm", "query-level", "shards", "explorer", "report")
"""Names of the workflow's own folders and files."""


def complaints(experiment: Experiment) -> Iterator[str]:
    """Yield what is wrong, the first first; later checks rely on earlier ones."""
    for check in (
        _names_are_names,
        _datasets_are_there,
        _prms_are_there,
        _main_dataset_trains,
        _left_out_are_test_problems,
        _mix_is_arithmetic,
        _answers_fit_into_a_step,
        _splits_are_filled,
        _prms_have_a_base,
        _routers_have_labels,
        _variants_have_a_default,
        _apis_are_reachable,
    ):
        yield from check(experiment)


def _names_are_names(experiment: Experiment) -> Iterator[str]:
    for names in (experiment.datasets, experiment.prms):
        seen: dict[str, str] = {}
        for name in names:
            if not re.fullmatch(NAME, name) or len(name) > LONGEST_NAME or name.lower() in RESERVED:
                yield (
                    f"{name[:LONGEST_NAME]!r} cannot name a dataset or PRM: letters, digits, - and _ only, at most "
                    f"{LONGEST_NAME}, and none of {', '.join(RESERVED)}"
                )
            if (twin := seen.setdefault(name.lower(), name)) != name:
                yield f"{twin!r} and {name!r} differ in case alone, which not every file system tells apart; rename one"


def _datasets_are_there(experiment: Experiment) -> Iterator[str]:
    for key, names in {
        "evaluated_on": experiment.evaluated_on,
        "training_mix": tuple(experiment.training_mix),
        "routers.trained_on": experiment.routers.trained_on,
        "main_dataset": (experiment.main_dataset,),
    }.items():
        for name in names:
            if name not in experiment.datasets:
                yield f"{key} names {name!r}, which is not under datasets: {', '.join(experiment.datasets)}"


def _prms_are_there(experiment: Experiment) -> Iterator[str]:
    for name in experiment.used_prms:
        if name not in experiment.prms:
            yield f"PRM {name!r} is not under prms: {', '.join(experiment.prms)}"
    if experiment.pair.prm in experiment.reported_prms:
        yield f"reported_prms names {experiment.pair.prm!r}, which routes already: name only further ones"


def _main_dataset_trains(experiment: Experiment) -> Iterator[str]:
    main = experiment.datasets[experiment.main_dataset]
    values = [name for name in experiment.used_prms if isinstance(experiment.prms.get(name), ReadingPRM)]
    if values and "prm_train" not in main.filled_splits:
        yield f"PRM {values[0]!r} needs rollouts of {experiment.main_dataset!r}, which has no prm_train problems"
    trains = isinstance(main, ArithmeticFamily) and {"prm_train", "dev"} <= main.filled_splits
    if experiment.trained and not trains:
        yield (
            f"main_dataset is {experiment.main_dataset!r}, which must be arithmetic (its steps have labels) with "
            f"prm_train and dev problems, because the pipeline trains {', '.join(experiment.trained)}"
        )


def _left_out_are_test_problems(experiment: Experiment) -> Iterator[str]:
    for name, dataset in experiment.datasets.items():
        for other in dataset.without if isinstance(dataset, FileDataset) else ():
            twin = experiment.datasets.get(other)
            leaves_out = isinstance(twin, FileDataset) and twin.without
            if twin is None or "test" not in twin.filled_splits or leaves_out:
                yield (
                    f"datasets.{name}.without names {other!r}, which must be a dataset with test problems that "
                    "leaves nothing out itself"
                )


def _mix_is_arithmetic(experiment: Experiment) -> Iterator[str]:
    for name in experiment.training_mix:
        if not isinstance(experiment.datasets[name], ArithmeticFamily):
            yield f"training_mix names {name!r}, which is not arithmetic: it has no worked solutions"


def _answers_fit_into_a_step(experiment: Experiment) -> Iterator[str]:
    for name, family in experiment.datasets.items():
        if isinstance(family, ArithmeticFamily) and family.longest_answer > experiment.sampling.max_step_tokens:
            yield (
                f"datasets.{name} asks for all results, up to {family.longest_answer} tokens in the last step: raise "
                "sampling.max_step_tokens, or lower max_steps of the dataset"
            )


def _splits_are_filled(experiment: Experiment) -> Iterator[str]:
    for key, names, needed in (
        ("routers.trained_on", experiment.routers.trained_on, {"router_train", "dev"}),
        ("evaluated_on", experiment.evaluated_on, {"test"}),
    ):
        for name in names:
            if lacking := sorted(needed - experiment.datasets[name].filled_splits):
                yield f"{key} names {name!r}, which has no {' and no '.join(lacking)} problems"


def _prms_have_a_base(experiment: Experiment) -> Iterator[str]:
    for name in experiment.used_prms:
        prm = experiment.prms[name]
        if isinstance(prm, NoisyPRM):
            if isinstance(experiment.prms.get(prm.of), NoisyPRM):
                yield f"PRM {name!r} is made of {prm.of!r}, which is noisy itself"
        elif isinstance(prm, ReadingPRM):
            yield from _reads_in_the_job(experiment, name, prm)
        elif not isinstance(prm, ServedPRM) and (backbone := getattr(prm, "backbone", None)):
            if getattr(experiment.pair, backbone).kind != "trained":
                yield f"PRM {name!r} starts from pair.{backbone}, which is not trained by the pipeline"


def _reads_in_the_job(experiment: Experiment, name: str, prm: ReadingPRM) -> Iterator[str]:
    kind = getattr(experiment.pair, prm.backbone).kind
    if kind not in ("trained", "pretrained", "gguf"):
        yield (
            f"PRM {name!r} reads with pair.{prm.backbone}, which must run in the job (kind trained, pretrained or "
            f"gguf), not be of kind {kind}"
        )


def _routers_have_labels(experiment: Experiment) -> Iterator[str]:
    observed_on, datasets = experiment.routers.pomdp.observed_on, experiment.datasets
    if observed_on is not None and getattr(datasets.get(observed_on), "layout", None) != "processbench":
        yield (
            f"routers.pomdp.observed_on names {observed_on!r}, which must be a dataset of labelled solutions (layout "
            "processbench); without it, the states of steps are inferred from final answers"
        )


def _variants_have_a_default(experiment: Experiment) -> Iterator[str]:
    if "default" not in experiment.routers.variants:
        yield "routers.variants lacks 'default', which the other variants start from"


def _apis_are_reachable(experiment: Experiment) -> Iterator[str]:
    for role in ("weak", "strong"):
        endpoint = experiment.serving.endpoints.get(role)
        if isinstance(getattr(experiment.pair, role), ApiModel) and (endpoint is None or endpoint.price is None):
            yield f"pair.{role} is an API model: serving.endpoints.{role} must name its url and price"
