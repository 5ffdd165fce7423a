rule prepare_dataset:
    output:
        **{split: f"{RESULTS}/problems/{{dataset}}/{split}.jsonl" for split in SPLITS},
        manifest=f"{RESULTS}/problems/{{dataset}}/manifest.json",
    log:
        f"{RESULTS}/logs/prepare_dataset/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare_dataset/{{dataset}}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        dataset=lambda wildcards: SETTINGS["datasets"][wildcards.dataset],
        seed=EXPERIMENT.seed,
        version=STAGE["problems"],
    message:
        "Preparing the problems of {wildcards.dataset}"
    script:
        "../scripts/prepare_dataset.py"
