# Helpers only: the checked config, names of results, and what rules ask for.

from pathlib import Path

from snakemake.exceptions import WorkflowError

from trim.config.experiment import parse_config
from trim.errors import TrimError
from trim.paper.manuscript import included
from trim.paper.numbers import READ
from trim.models.resources import job_gpus, job_memory_mb

try:
    EXPERIMENT = parse_config(config)
except TrimError as error:
    raise WorkflowError(str(error)) from None

# The config with every default filled in. Rules hand on only the keys that they read.
SETTINGS = EXPERIMENT.model_dump(mode="json")
MANUSCRIPT = "paper/main.tex"
RESULTS = f"results/{EXPERIMENT.experiment}"
HOME = EXPERIMENT.pair.home
SPLITS = ("prm_train", "router_train", "dev", "test")
# Datasets that hold solutions with labelled steps, by others.
SOLVED = [
    name
    for name, dataset in EXPERIMENT.datasets.items()
    if getattr(dataset, "layout", None) == "processbench"
]
ORACLE_ROUTERS = ("first-error-oracle", "perfect-information")
UNTRAINED_ROUTERS = ("weak-only", "strong-only", "random-step", "oracle-query", "rsd")
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
    "learned_routers": 3,
    "pomdp": 1,
    "solutions": 1,
    "query_routers": 1,
    "episodes": 3,
    "by_prm": 1,
    "tables": 4,
    "analysis": 3,
    "claims": 1,
    "figures": 3,
    "explorer": 1,
    "paper": 2,
}


wildcard_constraints:
    dataset="|".join(EXPERIMENT.datasets),
    trained_on="|".join(["untrained", *EXPERIMENT.datasets]),
    split="|".join(SPLITS),
    role="weak|strong",
    prm="|".join(EXPERIMENT.prms),
    learned="|".join(LEARNED_ROUTERS),
    variant="default|conditioned|released|memoryless|transferred",
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
    """Folder of a PRM that the pipeline trains, or of what is under a noisy one; none for a served one."""
    base = SETTINGS["prms"][prm].get("of", prm)
    is_served = SETTINGS["prms"][base]["kind"] == "served"
    return [] if is_served else f"{RESULTS}/models/prm-{base}"


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
    if prm is None:
        return params
    settings = SETTINGS["prms"][prm]
    if settings["kind"] == "noisy":
        params, settings = (
            params | {"noise": settings["deviation"]},
            SETTINGS["prms"][settings["of"]],
        )
    return params | {"prm": settings} if settings["kind"] == "served" else params


def noisy_prm():
    """The first reported PRM that is another one with noise; empty for none."""
    kinds = {prm: SETTINGS["prms"][prm]["kind"] for prm in EXPERIMENT.reported_prms}
    return next((prm for prm, kind in kinds.items() if kind == "noisy"), "")


def gpus(*roles):
    """GPUs for the models of these roles; the PRM is the one that a job names, else the one that routes."""
    return lambda wildcards: job_gpus(EXPERIMENT, roles, wildcards.get("prm"))


def memory_mb(*roles):
    """Host memory for the models of these roles, more at each attempt."""
    return lambda wildcards, attempt: (
        attempt * job_memory_mb(EXPERIMENT, roles, wildcards.get("prm"))
    )


def replicates(wildcards):
    """Independent samples of a problem: one number for the test split, another for all others."""
    is_test = getattr(wildcards, "split", "test") == "test"
    return SETTINGS["replicates"]["test" if is_test else "train"]


def is_labelled(wildcards):
    """Whether steps of a dataset have exact labels."""
    return has_labels(wildcards.get("dataset") or wildcards.get("trained_on") or HOME)


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


def episodes_of(routers):
    """Files with the test episodes of (router, trained_on), by "router/trained_on"."""
    return {
        f"{router}/{source}": f"{RESULTS}/episodes/{router}/{source}/{{dataset}}.parquet"
        for router, source in routers
    }


def fitted_inputs():
    """What was fitted for the routers that walk, by "router/trained_on"."""
    return {
        f"{router}/{source}": fitted_of(router, source)
        for router, source in WALKING_ROUTERS
    }


def forest_inputs(split, dataset="{trained_on}"):
    """Explored trees of a split, and the problems they are of."""
    return {
        f"{split}_problems": f"{RESULTS}/problems/{dataset}/{split}.jsonl",
        f"{split}_forest": f"{RESULTS}/forests/{dataset}.{split}.parquet",
    }


def forest_params():
    """What decides how a forest grows where it is not known, and how operating points are laid on it."""
    return {
        "pair": pair_params(),
        "labelled": is_labelled,
        "replicates": SETTINGS["replicates"],
        "operating_points": EXPERIMENT.routers.operating_points,
    }


def learner_settings(wildcards):
    """What decides the training of one variant of a learned router: not which others there are."""
    left_out = {"variants"} | (
        {"kappas"} if wildcards.variant == "conditioned" else set()
    )
    settings = SETTINGS["routers"][wildcards.learned.removeprefix("trim-")]
    return {key: value for key, value in settings.items() if key not in left_out}


def by_prm_settings():
    """What decides the routers that are fitted with another PRM: one variant of each, whichever others there are."""
    settings = SETTINGS["routers"]
    one_variant = {
        router: {
            key: value
            for key, value in settings[router].items()
            if key not in ("variants", "kappas")
        }
        for router in ("agg", "seq", "pomdp")
    }
    return one_variant | {key: settings[key] for key in ("operating_points", "kappa")}


def fitted_of(router, trained_on):
    """What was fitted for a router: a file or folder for each variant and training run."""
    folder = f"{RESULTS}/routers/{router}/{trained_on}"
    routers = EXPERIMENT.routers
    match router:
        case "trim-thr" | "one-step-takeover":
            return [f"{RESULTS}/routers/trim-thr/{trained_on}/thresholds.json"]
        case "trim-agg" | "trim-seq":
            variants = getattr(routers, router.removeprefix("trim-")).variants
            if trained_on != HOME:
                variants = variants[:1]  # the others are ablations
            return [
                f"{folder}/{v}.{run}" for v in variants for run in range(routers.seeds)
            ]
        case "trim-pomdp":
            variants = routers.pomdp.variants
            at_home = trained_on == HOME  # there, nothing is transferred
            known = HOME in routers.trained_on and "default" in variants
            return [
                f"{folder}/{variant}.npz"
                for variant in variants
                if variant != "transferred" or (known and not at_home)
            ]
    return []


def get_transferred(wildcards):
    """The solved POMDP of the home dataset, for the variant that takes its observation model."""
    home = f"{RESULTS}/routers/trim-pomdp/{HOME}/default.npz"
    return home if wildcards.variant == "transferred" else []


def get_labelled_solutions(wildcards):
    """Scored solutions of others whose steps have labels, where those of `trained_on` have none."""
    solved = EXPERIMENT.routers.pomdp.observed_on
    return (
        []
        if is_labelled(wildcards)
        else f"{RESULTS}/scores/{EXPERIMENT.pair.prm}/{solved}.router_train.parquet"
    )


def fitted_for(router):
    """What was fitted for a router on any dataset."""
    return [
        fitted
        for trained_on in EXPERIMENT.routers.trained_on
        for fitted in fitted_of(router, trained_on)
    ]


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


def figure_parts():
    """What each kind of figure is drawn for: one drawing a dataset, or a single one; none where there is nothing to
    show."""
    routers = EXPERIMENT.routers
    evaluated, trained = list(EXPERIMENT.evaluated_on), list(routers.trained_on)
    single = [None]
    transferred = single if len({*evaluated, *trained}) > 1 else []
    fitted = {
        "learning_curves": routers.agg.variants or routers.seq.variants,
        "decision_map": routers.agg.variants,
        "observation_model": "default" in routers.pomdp.variants,
        "pomdp_policy": "default" in routers.pomdp.variants,
        "joint_observation": "released" in routers.pomdp.variants,
    }
    return {
        "accuracy_vs_cost": evaluated,
        "controls": evaluated,
        "strong_calls": evaluated,
        "stepwise_vs_query": evaluated if QUERY.baselines else [],
        "oracle_region": single,
        "transfer_curves": transferred,
        "prm_reliability": single if get_labelled_scores() else [],
        "generalization_matrix": single,
        "prm_quality_routing": single,
        "ablations": single,
        "budgeted": single,
        "interventions": single,
        **{kind: trained if wanted else [] for kind, wanted in fitted.items()},
    }


def model_names():
    """Names of the three models, as far as they have one."""
    models = {role: SETTINGS["pair"][role] for role in ("weak", "strong")}
    models["prm"] = SETTINGS["prms"][EXPERIMENT.pair.prm]
    return {role: model.get("name", "one of our own") for role, model in models.items()}


def figure_files(kind, suffix):
    """Files of one kind of figure, in the order of its parts."""
    names = [f"{kind}_{part}" if part else kind for part in FIGURE_PARTS[kind]]
    return [f"{RESULTS}/figures/{name}.{suffix}" for name in names]


def reported_file(path, kind, category, labels):
    """A figure that the report shows."""
    caption = f"../report/figures/{kind}.rst"
    return report(path, caption=caption, category=category, labels=labels)


def reported_files(kind, category, what):
    """One kind of figure as PNG, with what the report says of it."""
    parts = zip(figure_files(kind, "png"), FIGURE_PARTS[kind], strict=True)
    labels = {path: {"figure": what, "dataset": part or "all"} for path, part in parts}
    return [reported_file(path, kind, category, labels[path]) for path in labels]


def get_figures():
    """All figures."""
    return FIGURES + [
        path
        for kind in FIGURE_PARTS
        for suffix in ("pdf", "png")
        for path in figure_files(kind, suffix)
    ]


# (router, trained_on) of the routers that need exact labels, that decide step by step, and once a problem.
ORACLES = [(router, "untrained") for router in ORACLE_ROUTERS]
WALKING_ROUTERS = [(router, "untrained") for router in UNTRAINED_ROUTERS] + [
    (router, source)
    for router in FITTED_ROUTERS
    for source in EXPERIMENT.routers.trained_on
    if fitted_of(router, source)
]
QUERY_ROUTERS = [
    (router, source)
    for router in QUERY.baselines
    for source in EXPERIMENT.routers.trained_on
]
EPISODES = [
    path.format(dataset=dataset)
    for dataset in EXPERIMENT.evaluated_on
    for path in episodes_of(
        WALKING_ROUTERS + (ORACLES if has_labels(dataset) else []) + QUERY_ROUTERS
    ).values()
]
# Test episodes of the routers that were fitted at home with further PRMs: labels of steps are needed for that.
BY_PRM_EPISODES = [
    f"{RESULTS}/episodes/by_prm/{prm}.parquet"
    for prm in EXPERIMENT.reported_prms
    if has_labels(HOME) and HOME in EXPERIMENT.routers.trained_on
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
# What decides intervals where routers are not compared at given shares.
RESAMPLING = {key: SETTINGS["bootstrap"][key] for key in ("resamples", "level")}
# Tables with points that others published, where the experiment has some to compare with.
PUBLISHED = {
    "paper": ["data/published/figure6.csv", "data/published/anchors.csv"],
    "log": [
        "data/published/log_math500_thr.csv",
        "data/published/log_math500_pomdp.csv",
    ],
}.get(EXPERIMENT.pair.published, [])
FIGURE_PARTS = figure_parts()
FIGURES = []


def get_numbered(wildcards):
    """Tables whose rows become numbers in the text."""
    return [path for path in TABLES if Path(path).stem in READ and path.endswith("csv")]


def get_included(kind, suffix):
    """Files of one kind that the manuscript includes, as far as the experiment makes them."""

    def paths(wildcards):
        named = included(Path(MANUSCRIPT).read_text(encoding="utf-8"))[kind]
        wanted = {f"{RESULTS}/{kind}s/{name}.{suffix}" for name in named}
        return sorted(wanted.intersection(get_final_output()))

    return paths


# For each dataset that is shown, the dataset on which the routers were fitted that are followed there.
EXPLORED = {
    dataset: (
        dataset
        if dataset in EXPERIMENT.routers.trained_on
        else EXPERIMENT.routers.trained_on[0]
    )
    for dataset in EXPERIMENT.evaluated_on
}


def explorer_inputs():
    """Problems and forest of each dataset, by "dataset/kind", and what was fitted, by "trained_on/router"."""
    inputs = {}
    for dataset in EXPLORED:
        inputs[f"{dataset}/problems"] = f"{RESULTS}/problems/{dataset}/test.jsonl"
        inputs[f"{dataset}/forest"] = f"{RESULTS}/forests/{dataset}.test.parquet"
    for trained_on in sorted(set(EXPLORED.values())):
        for router in ("trim-thr", *LEARNED_ROUTERS, "trim-pomdp"):
            inputs[f"{trained_on}/{router}"] = fitted_of(router, trained_on)
    return inputs


def get_final_output():
    """All that the default target asks for."""
    return [
        *TABLES,
        *get_figures(),
        *EXPLORER,
        *(
            f"{RESULTS}/problems/{dataset}/manifest.json"
            for dataset in EXPERIMENT.datasets
        ),
    ]
