# Names of files, and the files that a job reads which not every experiment has.

from pathlib import Path

from trim.config.models import GivenPRM, ReadingPRM

HERE = Path(workflow.current_basedir.get_path_or_uri(secret_free=True))


def shipped(path):
    """A file of this repository: where Snakemake works, or beside the Snakefile (a module, --directory)."""
    beside = (HERE / "../.." / path).resolve()
    if Path(path).is_file():
        return path
    return str(beside) if beside.is_file() else workflow.source_path(f"../../{path}")


def published(*names):
    """Tables of published numbers."""
    return [shipped(f"data/published/{name}.csv") for name in names]


RESULTS = EXPERIMENT.results
MAIN = EXPERIMENT.main_dataset
try:
    MANUSCRIPT = shipped(EXPERIMENT.manuscript)
except OSError:
    raise WorkflowError(
        f"config: manuscript: no such file as {EXPERIMENT.manuscript}, neither from {Path.cwd()} nor in the workflow; "
        "write it, or leave the key out"
    ) from None
PREAMBLE = shipped("paper/preamble.tex")
(CLAIMS,) = published("claims")
SPLITS = ("prm_train", "router_train", "dev", "test")
# Datasets that hold solutions with labelled steps, by others.
SOLVED = [
    name
    for name, dataset in EXPERIMENT.datasets.items()
    if getattr(dataset, "layout", None) == "processbench"
]


wildcard_constraints:
    dataset="|".join(EXPERIMENT.datasets),
    trained_on="|".join(["untrained", *EXPERIMENT.datasets]),
    split="|".join(SPLITS),
    role="weak|strong",
    prm="|".join(EXPERIMENT.prms),


def has_labels(dataset):
    """Whether steps of a dataset have exact labels."""
    return EXPERIMENT.labelled(dataset)


def get_source(wildcards):
    """The file that a dataset comes from, if it comes from one that is there."""
    dataset = EXPERIMENT.datasets[wildcards.dataset]
    is_file = dataset.source == "jsonl" and Path(dataset.path).is_file()
    return dataset.path if is_file else []


def get_left_out(wildcards):
    """Test problems of the datasets that must share none with this one."""
    others = getattr(EXPERIMENT.datasets[wildcards.dataset], "without", [])
    return [f"{RESULTS}/problems/{other}/test.jsonl" for other in others]


def model_folder(role):
    """Folder of a language model that the pipeline trains; none for a pretrained one."""
    is_trained = getattr(EXPERIMENT.pair, role).kind == "trained"
    return f"{RESULTS}/models/{role}" if is_trained else []


def prm_backbone():
    """Which language model is the size of the PRM that routes, because it starts from it; empty for none."""
    prm = EXPERIMENT.prms[EXPERIMENT.pair.prm]
    return getattr(EXPERIMENT.prms.get(getattr(prm, "of", ""), prm), "backbone", "")


def gguf_folder(role):
    """Folder that a language model's GGUF file is dequantised into; none for another model."""
    model = getattr(EXPERIMENT.pair, role)
    is_gguf = model.kind == "gguf"
    return model.folder(EXPERIMENT.step_store) if is_gguf else None


def prm_folder(prm):
    """Folder of a PRM that the pipeline trains, or of what is under a noisy one; none where nobody trains it here."""
    base = getattr(EXPERIMENT.prms[prm], "of", prm)
    is_given = isinstance(EXPERIMENT.prms[base], GivenPRM)
    return [] if is_given else f"{RESULTS}/models/prm-{base}"


def get_backbone(wildcards):
    """Folder of the language model that a PRM starts from; none for a kind that starts from none."""
    role = getattr(EXPERIMENT.prms[wildcards.prm], "backbone", None)
    return model_folder(role) if role else []


def get_backbone_of_reading(wildcards):
    """The same of a PRM that goes on reading with it, if this pipeline trained it."""
    name = getattr(EXPERIMENT.prms[wildcards.prm], "of", wildcards.prm)
    prm = EXPERIMENT.prms[name]
    return model_folder(prm.backbone) if isinstance(prm, ReadingPRM) else []


def encoder_folder():
    """Folder of the model that reads problems for the query-level baselines, where this pipeline trained it."""
    return [] if EXPERIMENT.routers.query.encoder else model_folder("weak")


def pair_inputs():
    """Folders of the models that an experiment routes between."""
    return {
        "weak": model_folder("weak"),
        "strong": model_folder("strong"),
        "prm": prm_folder(EXPERIMENT.pair.prm),
    }


def tree_inputs(split, dataset="{trained_on}"):
    """Explored trees of a split, and the problems they are of."""
    return {
        f"{split}_problems": f"{RESULTS}/problems/{dataset}/{split}.jsonl",
        f"{split}_trees": f"{RESULTS}/trees/{dataset}.{split}.parquet",
    }


def get_labelled_scores():
    """Scores of labelled steps, by "prm/dataset"."""
    return {
        f"{prm}/{dataset}": f"{RESULTS}/scores/{prm}/{dataset}.{split}.parquet"
        for prm, dataset, split in EXPERIMENT.measured
    }


def explored_inputs(datasets):
    """Problems and explored trees of the test splits of datasets, by "dataset/kind"."""
    inputs = {}
    for dataset in datasets:
        inputs[f"{dataset}/problems"] = f"{RESULTS}/problems/{dataset}/test.jsonl"
        inputs[f"{dataset}/trees"] = f"{RESULTS}/trees/{dataset}.test.parquet"
    return inputs


def get_outcome_scores():
    """Scores of every PRM in use on the test rollouts of every evaluated dataset, by "prm/dataset"."""
    return {
        f"{prm}/{dataset}": f"{RESULTS}/scores/{prm}/{dataset}.test.parquet"
        for prm in (EXPERIMENT.pair.prm, *EXPERIMENT.reported_prms)
        for dataset in EXPERIMENT.evaluated_on
    }


# Evaluated datasets whose steps have no labels: what oracles know there are the explored continuations.
UNLABELLED = [name for name in EXPERIMENT.evaluated_on if not has_labels(name)]
# Datasets that are evaluated and whose steps have labels.
LABELLED = [name for name in EXPERIMENT.evaluated_on if has_labels(name)]


def get_labelled_rollouts():
    """Test rollouts whose steps have labels, by dataset."""
    return {name: f"{RESULTS}/rollouts/{name}.test.parquet" for name in LABELLED}


# Whether there are labelled steps to judge a PRM by.
MEASURED = bool(EXPERIMENT.measured)
