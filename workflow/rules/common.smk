# Helpers only: the checked config, names of results, and what rules ask for.

from pathlib import Path

from snakemake.exceptions import WorkflowError

from trim.config import parse_config
from trim.errors import TrimError
from trim.paper.manuscript import included
from trim.paper.numbers import READ
from trim.resources import job_gpus, job_memory_mb

try:
    EXPERIMENT = parse_config(config)
except TrimError as error:
    raise WorkflowError(str(error)) from None

# The config with every default filled in. Rules hand on only the keys that they read.
SETTINGS = EXPERIMENT.model_dump(mode="json")
RESULTS = f"results/{EXPERIMENT.experiment}"
HOME = EXPERIMENT.pair.home
SPLITS = ("prm_train", "router_train", "dev", "test")
# Datasets that hold solutions with labelled steps, by others.
SOLVED = [
    name
    for name, dataset in EXPERIMENT.datasets.items()
    if getattr(dataset, "layout", None) == "processbench"
]
UNTRAINED_ROUTERS = (
    "weak-only",
    "strong-only",
    "random-step",
    "first-error-oracle",
    "perfect-information",
    "oracle-query",
    "rsd",
)
ORACLES = ("first-error-oracle", "perfect-information")  # they need exact labels
FITTED_ROUTERS = ("trim-thr", "one-step-takeover", "trim-agg", "trim-seq", "trim-pomdp")
LEARNED_ROUTERS = ("trim-agg", "trim-seq")
QUERY = EXPERIMENT.routers.query

# Stage versions: raised when a change in src/ changes what a stage produces. Snakemake
# watches scripts and params, not the library, so that a cosmetic edit reruns nothing.
STAGE = {
    "problems": 1,
    "language_model": 1,
    "prm": 1,
    "rollouts": 1,
    "scores": 1,
    "forests": 1,
    "thresholds": 2,
    "learned_routers": 2,
    "pomdp": 1,
    "solutions": 1,
    "query_routers": 1,
    "episodes": 2,
    "tables": 2,
    "figures": 2,
    "paper": 1,
}


wildcard_constraints:
    dataset="|".join(EXPERIMENT.datasets),
    trained_on="|".join(["untrained", *EXPERIMENT.datasets]),
    split="|".join(SPLITS),
    role="weak|strong",
    prm="|".join(EXPERIMENT.prms),
    router="|".join([*UNTRAINED_ROUTERS, *FITTED_ROUTERS]),
    learned="|".join(LEARNED_ROUTERS),
    variant="default|conditioned|released",
    run="[0-9]+",


def model_folder(role):
    """Folder of a language model that the pipeline trains; none for a pretrained one."""
    return (
        f"{RESULTS}/models/{role}"
        if SETTINGS["pair"][role]["kind"] == "trained"
        else []
    )


def pair_inputs(prm=EXPERIMENT.pair.prm):
    """Folders of the models that an experiment routes between."""
    return {
        "weak": model_folder("weak"),
        "strong": model_folder("strong"),
        "prm": prm_folder(prm),
    }


def prm_folder(prm):
    """Folder of a PRM that the pipeline trains; none for a served one."""
    return (
        []
        if SETTINGS["prms"][prm]["kind"] == "served"
        else f"{RESULTS}/models/prm-{prm}"
    )


def families():
    """Families that language models are trained on, without the sizes of their splits: those decide nothing there."""
    return {
        name: {
            key: value
            for key, value in SETTINGS["datasets"][name].items()
            if key != "sizes"
        }
        for name in EXPERIMENT.training_mix
    }


def pair_params(prm=EXPERIMENT.pair.prm):
    """What decides the steps that the pair writes, and the scores where a PRM reads them."""
    models = {role: SETTINGS["pair"][role] for role in ("weak", "strong")}
    limits = {key: SETTINGS[key] for key in ("sampling", "max_steps")}
    return models | scorer_params(prm) | limits


def scorer_params(prm):
    """What decides the scores of a PRM, beside its folder."""
    params = {key: SETTINGS["pair"][key] for key in ("device", "batch_size")}
    served = prm is not None and SETTINGS["prms"][prm]["kind"] == "served"
    return params | {"prm": SETTINGS["prms"][prm]} if served else params


def gpus(*roles):
    """GPUs for the models of these roles."""
    return job_gpus(EXPERIMENT, roles)


def memory_mb(*roles):
    """Host memory for the models of these roles, more at each attempt."""
    need = job_memory_mb(EXPERIMENT, roles)
    return lambda wildcards, attempt: attempt * need


def replicates(wildcards):
    """Independent samples of a problem: one number for the test split, another for all others."""
    is_test = getattr(wildcards, "split", "test") == "test"
    return SETTINGS["replicates"]["test" if is_test else "train"]


def is_labelled(wildcards):
    """Whether steps of a dataset have exact labels."""
    return has_labels(getattr(wildcards, "dataset", None) or wildcards.trained_on)


def has_labels(dataset):
    """Whether steps of a dataset have exact labels."""
    return SETTINGS["datasets"][dataset]["source"] == "arithmetic"


def get_left_out(wildcards):
    """Test problems of the datasets that must share none with this one."""
    others = SETTINGS["datasets"][wildcards.dataset].get("without", [])
    return [f"{RESULTS}/problems/{other}/test.jsonl" for other in others]


def get_source(wildcards):
    """The file that a dataset comes from, if it comes from one that is there."""
    dataset = EXPERIMENT.datasets[wildcards.dataset]
    is_file = dataset.source == "jsonl" and Path(dataset.path).is_file()
    return dataset.path if is_file else []


def evaluated_routers():
    """(router, trained_on) of every evaluation."""
    return [(router, "untrained") for router in UNTRAINED_ROUTERS] + [
        (router, source)
        for router in (*FITTED_ROUTERS, *QUERY.baselines)
        for source in EXPERIMENT.routers.trained_on
        if router in QUERY.baselines or fitted_of(router, source)
    ]


def forest_inputs(split):
    """Explored trees of a split, and the problems they are of."""
    return {
        f"{split}_problems": f"{RESULTS}/problems/{{trained_on}}/{split}.jsonl",
        f"{split}_forest": f"{RESULTS}/forests/{{trained_on}}.{split}.parquet",
    }


def forest_params():
    """What decides how a forest grows where it is not known, and how operating points are laid on it."""
    return {
        "pair": pair_params(),
        "labelled": is_labelled,
        "replicates": SETTINGS["replicates"]["train"],
        "operating_points": EXPERIMENT.routers.operating_points,
    }


def learner_settings(wildcards):
    """What decides the training of one variant of a learned router: not which others there are."""
    left_out = {"variants"} | (
        {"kappas"} if wildcards.variant == "conditioned" else set()
    )
    settings = SETTINGS["routers"][wildcards.learned.removeprefix("trim-")]
    return {key: value for key, value in settings.items() if key not in left_out}


def fitted_of(router, trained_on):
    """What was fitted for a router: a file or folder for each variant and training run."""
    folder = f"{RESULTS}/routers/{router}/{trained_on}"
    routers = EXPERIMENT.routers
    match router:
        case "trim-thr" | "one-step-takeover":
            return [f"{RESULTS}/routers/trim-thr/{trained_on}/thresholds.json"]
        case "trim-agg" | "trim-seq":
            variants = getattr(routers, router.removeprefix("trim-")).variants
            return [
                f"{folder}/{v}.{run}" for v in variants for run in range(routers.seeds)
            ]
        case "trim-pomdp":
            return [f"{folder}/{variant}.npz" for variant in routers.pomdp.variants]
    return []


def get_fitted(wildcards):
    """Fitted parameters of a router, for those that have any."""
    return fitted_of(wildcards.router, wildcards.trained_on)


def get_labelled_solutions(wildcards):
    """Scored solutions of others whose steps have labels, where those of `trained_on` have none."""
    solved = EXPERIMENT.routers.pomdp.observed_on
    return (
        []
        if is_labelled(wildcards)
        else f"{RESULTS}/scores/{EXPERIMENT.pair.prm}/{solved}.router_train.parquet"
    )


def get_learned(wildcards):
    """Every training run of the learned routers."""
    return [
        folder
        for router in LEARNED_ROUTERS
        for folder in fitted_of(router, wildcards.trained_on)
    ]


def get_mapped_policy(wildcards):
    """The training run of TRIM-Agg whose decisions are drawn."""
    return fitted_of("trim-agg", wildcards.trained_on)[0]


def dev_episodes():
    """Episodes on dev of every fitted router, at the operating points laid there."""
    for trained_on in EXPERIMENT.routers.trained_on:
        yield f"{RESULTS}/routers/trim-thr/{trained_on}/dev.parquet"
        for router in (*LEARNED_ROUTERS, "trim-pomdp"):
            for fitted in fitted_of(router, trained_on):
                yield f"{fitted.removesuffix('.npz')}.dev.parquet"
        yield f"{RESULTS}/routers/query-level/{trained_on}/dev.parquet"


def encoder_folder():
    """Folder of the model that reads problems for the query-level baselines, where this pipeline trained it."""
    return [] if QUERY.encoder else model_folder("weak")


def query_params():
    """What decides how the query-level baselines read problems, and what they choose from."""
    weak = SETTINGS["pair"]["weak"]
    return {
        "encoder": QUERY.encoder or weak.get("name"),
        "revision": QUERY.revision if QUERY.encoder else weak.get("revision"),
        "device": EXPERIMENT.pair.device,
        "samples": QUERY.samples,
    }


def get_labelled_scores():
    """Scores of the PRM that routes wherever test steps have labels or solutions came with them, and of each reported
    one at home."""
    measured = [
        (EXPERIMENT.pair.prm, dataset, "test")
        for dataset in EXPERIMENT.evaluated_on
        if has_labels(dataset)
    ]
    measured += [(EXPERIMENT.pair.prm, dataset, "router_train") for dataset in SOLVED]
    measured += [(prm, HOME, "test") for prm in EXPERIMENT.reported_prms]
    return {
        f"{prm}/{dataset}": f"{RESULTS}/scores/{prm}/{dataset}.{split}.parquet"
        for prm, dataset, split in measured
    }


def fitted_figures():
    """Figures of what was fitted on a dataset, as far as the config has it fitted."""
    routers = EXPERIMENT.routers
    wanted = {
        "learning_curves": routers.agg.variants or routers.seq.variants,
        "decision_map": routers.agg.variants,
        "observation_model": "default" in routers.pomdp.variants,
        "pomdp_policy": "default" in routers.pomdp.variants,
        "joint_observation": "released" in routers.pomdp.variants,
    }
    return [
        f"{name}_{trained_on}"
        for trained_on in routers.trained_on
        for name in wanted
        if wanted[name]
    ]


EPISODES = [
    f"{RESULTS}/episodes/{router}/{trained_on}/{dataset}.parquet"
    for router, trained_on in evaluated_routers()
    for dataset in EXPERIMENT.evaluated_on
    if router not in ORACLES or has_labels(dataset)
]
# Whether there are labelled steps to judge a PRM by.
MEASURED = bool(get_labelled_scores())
TABLES = [
    f"{RESULTS}/tables/{name}"
    for name in (
        "curves.csv",
        "main.csv",
        "main.tex",
        "comparisons.csv",
        "comparisons.tex",
        "dev.csv",
        "dev_comparisons.csv",
        *(["prm_quality.csv"] if MEASURED else []),
    )
]
# Tables with points that others published, where the experiment has some to compare with.
PUBLISHED = {
    "paper": ["data/published/figure6.csv", "data/published/anchors.csv"],
    "log": [
        "data/published/log_math500_thr.csv",
        "data/published/log_math500_pomdp.csv",
    ],
}.get(EXPERIMENT.pair.published, [])
FIGURES = [
    f"{RESULTS}/figures/{name}.{kind}"
    for name in (
        *(f"accuracy_vs_cost_{dataset}" for dataset in EXPERIMENT.evaluated_on),
        *(f"controls_{dataset}" for dataset in EXPERIMENT.evaluated_on),
        *(f"strong_calls_{dataset}" for dataset in EXPERIMENT.evaluated_on),
        *(["prm_reliability"] if MEASURED else []),
        *fitted_figures(),
    )
    for kind in ("pdf", "png")
]


def get_final_output():
    """All that the default target asks for."""
    return [
        *TABLES,
        *FIGURES,
        *(
            f"{RESULTS}/problems/{dataset}/manifest.json"
            for dataset in EXPERIMENT.datasets
        ),
    ]
