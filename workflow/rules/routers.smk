rule fit_thresholds:
    input:
        **pair_inputs(),
        scores=f"{RESULTS}/scores/{EXPERIMENT.pair.prm}/{{trained_on}}.router_train.parquet",
        dev=f"{RESULTS}/problems/{{trained_on}}/dev.jsonl",
    output:
        thresholds=f"{RESULTS}/routers/trim-thr/{{trained_on}}/thresholds.json",
    log:
        f"{RESULTS}/logs/fit_thresholds/{{trained_on}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/fit_thresholds/{{trained_on}}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        gpu=gpus("weak", "strong", "prm"),
        mem_mb=memory_mb("weak", "strong", "prm"),
        runtime=240,
    params:
        pair=pair_params(),
        labelled=is_labelled,
        thresholds=EXPERIMENT.routers.thresholds,
        variants=SETTINGS["routers"]["variants"],
        replicates=SETTINGS["replicates"]["train"],
        version=STAGE["thresholds"],
    message:
        "Laying the thresholds of TRIM-Thr on {wildcards.trained_on}"
    script:
        "../scripts/fit_thresholds.py"
