rule prepare_dataset:
    input:
        source=get_source,
        without=get_left_out,
    output:
        **{split: f"{RESULTS}/problems/{{dataset}}/{split}.jsonl" for split in SPLITS},
        manifest=f"{RESULTS}/problems/{{dataset}}/manifest.json",
    log:
        f"{RESULTS}/logs/prepare_dataset/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare_dataset/{{dataset}}.tsv"
    conda:
        "../../envs/problems.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        dataset=lambda wildcards: settings_of(EXPERIMENT.datasets[wildcards.dataset]),
        seed=EXPERIMENT.seed,
        version=STAGE["problems"],
    message:
        "Preparing the problems of {wildcards.dataset}"
    script:
        "../scripts/prepare_dataset.py"


rule check_splits:
    input:
        problems=[
            f"{RESULTS}/problems/{dataset}/{split}.jsonl"
            for dataset in EXPERIMENT.datasets
            for split in SPLITS
        ],
    output:
        disjoint=f"{RESULTS}/problems/disjoint.json",
    log:
        f"{RESULTS}/logs/check_splits.log",
    benchmark:
        f"{RESULTS}/benchmarks/check_splits.tsv"
    priority: 100  # an overlap must show before anything is trained
    conda:
        "../../envs/problems.yaml"
    params:
        version=STAGE["disjoint"],
    message:
        "Checking that no problem serves two purposes, in whatever dataset"
    script:
        "../scripts/check_splits.py"


rule read_solutions:
    input:
        source=get_source,
        problems=f"{RESULTS}/problems/{{dataset}}/router_train.jsonl",
    output:
        steps=f"{RESULTS}/rollouts/{{dataset}}.router_train.parquet",
    log:
        f"{RESULTS}/logs/read_solutions/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/read_solutions/{{dataset}}.tsv"
    wildcard_constraints:
        dataset="|".join(SOLVED) or "none",
    conda:
        "../../envs/problems.yaml"
    params:
        dataset=lambda wildcards: settings_of(EXPERIMENT.datasets[wildcards.dataset]),
        version=STAGE["labelled_solutions"],
    message:
        "Reading the labelled solutions of {wildcards.dataset}"
    script:
        "../scripts/read_solutions.py"


# Solutions that come with their labels are not collected.
ruleorder: read_solutions > gather_rollouts
