# What decides a stage: the settings that it reads, its version, and the resources of its models.

from trim.config.models import GivenPRM, ReadingPRM
from trim.models.resources import job_gpus, job_memory_mb

# Stage versions: raised when a change in src/ changes what a stage produces. Snakemake
# watches scripts and params, not the library, so that a cosmetic edit reruns nothing. Those of fitted
# routers stand with them, in the registry.
STAGE = {
    "problems": 1,
    "disjoint": 1,
    "labelled_solutions": 1,
    "language_model": 2,
    "prm": 2,
    "rollouts": 4,
    "scores": 3,
    "trees": 3,
    "solutions": 4,
    "query_routers": 2,
    "episodes": 6,
    "bounds": 1,
    "by_prm": 4,
    "tables": 6,
    "analysis": 4,
    "planners": 1,
    "prefixes": 1,
    "claims": 5,
    "prices": 2,
    "figures": 11,
    "explorer": 1,
    "calculator": 1,
    "paper": 5,
}


def settings_of(section, *left_out):
    """A section of the config as plain values, without the keys that decide nothing: rules hand on what they read."""
    return section.model_dump(mode="json", exclude=set(left_out))


def families():
    """Families that language models are trained on, without the sizes of their splits: those decide nothing there."""
    return {
        name: settings_of(EXPERIMENT.datasets[name], "sizes")
        for name in EXPERIMENT.training_mix
    }


def pair_params(prm=EXPERIMENT.pair.prm):
    """What decides the steps that the pair writes, and the scores where a PRM reads them."""
    return {
        "weak": settings_of(EXPERIMENT.pair.weak),
        "strong": settings_of(EXPERIMENT.pair.strong),
        **scorer_params(prm),
        "sampling": settings_of(EXPERIMENT.sampling),
        "max_steps": EXPERIMENT.max_steps,
        # Named only where it differs from what it always was, so that no older result is made again.
        **({"long_steps": "cut"} if EXPERIMENT.long_steps == "cut" else {}),
    }


def scorer_params(prm):
    """What decides the scores of a PRM, beside its folder."""
    pair = EXPERIMENT.pair
    params = {"device": pair.device, "batch_size": pair.batch_size}
    if prm is None:
        return params
    scorer = EXPERIMENT.prms[prm]
    if scorer.kind == "noisy":
        params["noise"], scorer = scorer.deviation, EXPERIMENT.prms[scorer.of]
    if isinstance(scorer, ReadingPRM):
        params["backbone"] = settings_of(getattr(pair, scorer.backbone))
    if isinstance(scorer, GivenPRM):
        params["prm"] = settings_of(scorer)
    return params


def replicates(wildcards):
    """Independent samples of a problem: one number for the test split, another for all others."""
    is_test = getattr(wildcards, "split", "test") == "test"
    return EXPERIMENT.replicates.test if is_test else EXPERIMENT.replicates.train


def replicates_of(*kinds):
    """Replicates of the kinds of splits that a job reads: `train`, `test` or both."""
    return {kind: getattr(EXPERIMENT.replicates, kind) for kind in kinds}


def is_labelled(wildcards):
    """Whether steps of a dataset have exact labels."""
    return has_labels(wildcards.get("dataset") or wildcards.get("trained_on") or MAIN)


def tree_params():
    """What decides how rollout trees grows where it is not known."""
    return {
        "pair": pair_params(),
        "labelled": is_labelled,
        "replicates": replicates_of("train"),
        **tree_budget(),
    }


def tree_budget():
    """What bounds the trees on which routers learn and choose; nothing where nothing does, as before there was one."""
    budget = EXPERIMENT.routers.tree_budget
    return {} if budget is None else {"tree_budget": budget}


def compared_on():
    """Dataset with the test problems for routers that are fitted with other PRMs, where it is not the main one."""
    other = EXPERIMENT.compared_on
    return {} if other == MAIN else {"compared_on": other}


def query_params():
    """What decides how the query-level baselines read problems, and what they choose from."""
    query, weak = EXPERIMENT.routers.query, EXPERIMENT.pair.weak
    if query.tuning is None:
        frozen = EXPERIMENT.frozen_encoder
        return {
            "frozen": settings_of(frozen) if frozen else {},
            "device": EXPERIMENT.pair.device,
            "samples": query.samples,
        }
    return {
        "encoder": query.encoder or getattr(weak, "name", None) or gguf_folder("weak"),
        "revision": (
            query.revision if query.encoder else getattr(weak, "revision", None)
        ),
        "device": EXPERIMENT.pair.device,
        "samples": query.samples,
    }


def noisy_prm():
    """The first reported PRM that is another one with noise; empty for none."""
    kinds = {prm: EXPERIMENT.prms[prm].kind for prm in EXPERIMENT.reported_prms}
    return next((prm for prm, kind in kinds.items() if kind == "noisy"), "")


def model_names():
    """Names of the three models, as far as they have one."""
    pair = EXPERIMENT.pair
    models = {
        "weak": pair.weak,
        "strong": pair.strong,
        "prm": EXPERIMENT.prms[pair.prm],
    }
    return {role: getattr(m, "name", "one of our own") for role, m in models.items()}


def prm_training_mb(wildcards, attempt):
    """Host memory to train a PRM; one that reads with a real model of the pair holds that."""
    prm = EXPERIMENT.prms[wildcards.prm]
    if isinstance(prm, ReadingPRM):
        return memory_mb(prm.backbone)(wildcards, attempt)
    return attempt * 2000


def prm_training_gpus(wildcards):
    """GPUs to train a PRM: one that reads with a real model of the pair runs that where the pair runs."""
    prm = EXPERIMENT.prms[wildcards.prm]
    return gpus(prm.backbone)(wildcards) if isinstance(prm, ReadingPRM) else 0


def reading_gpus():
    """GPUs of what reads problems for the query-level baselines."""
    return int(EXPERIMENT.pair.device == "cuda")


# What decides intervals where routers are not compared at given shares.
RESAMPLING = settings_of(EXPERIMENT.bootstrap, "compared_shares")


def gpus(*roles):
    """GPUs for the models of these roles; the PRM is the one that a job names, else the one that routes."""
    return lambda wildcards: job_gpus(EXPERIMENT, roles, wildcards.get("prm"))


def memory_mb(*roles):
    """Host memory for the models of these roles, more at each attempt."""
    return lambda wildcards, attempt: (
        attempt * job_memory_mb(EXPERIMENT, roles, wildcards.get("prm"))
    )
