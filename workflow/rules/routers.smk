rule fit_thresholds:
    input:
        **pair_inputs(),
        **forest_inputs("dev"),
        scores=f"{RESULTS}/scores/{EXPERIMENT.pair.prm}/{{trained_on}}.router_train.parquet",
    output:
        thresholds=f"{RESULTS}/routers/trim-thr/{{trained_on}}/thresholds.json",
        dev=f"{RESULTS}/routers/trim-thr/{{trained_on}}/dev.parquet",
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
        **forest_params(),
        variants=list(EXPERIMENT.routers.variants),
        version=STAGE["thresholds"],
    message:
        "Laying the thresholds of TRIM-Thr on {wildcards.trained_on}"
    script:
        "../scripts/fit_thresholds.py"


rule train_router:
    input:
        **pair_inputs(),
        **forest_inputs("router_train"),
        **forest_inputs("dev"),
    output:
        folder=directory(
            f"{RESULTS}/routers/{{learned}}/{{trained_on}}/{{variant}}.{{run}}"
        ),
        dev=f"{RESULTS}/routers/{{learned}}/{{trained_on}}/{{variant}}.{{run}}.dev.parquet",
    log:
        f"{RESULTS}/logs/train_router/{{learned}}/{{trained_on}}/{{variant}}.{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_router/{{learned}}/{{trained_on}}/{{variant}}.{{run}}.tsv"
    conda:
        "../../envs/routers.yaml"
    threads: 1
    resources:
        gpu=gpus("weak", "strong", "prm"),
        mem_mb=memory_mb("weak", "strong", "prm"),
        runtime=240,
    params:
        **forest_params(),
        settings=learner_settings,
        kappa=settings_of(EXPERIMENT.routers.kappa),
        seed=EXPERIMENT.seed,
        version=STAGE["learned_routers"],
    message:
        "Training {wildcards.learned} ({wildcards.variant}) on {wildcards.trained_on}, run {wildcards.run}"
    script:
        "../scripts/train_router.py"


rule solve_pomdp:
    input:
        **pair_inputs(),
        **forest_inputs("router_train"),
        **forest_inputs("dev"),
        solutions=get_labelled_solutions,
        transferred=get_transferred,
    output:
        solved=f"{RESULTS}/routers/trim-pomdp/{{trained_on}}/{{variant}}.npz",
        dev=f"{RESULTS}/routers/trim-pomdp/{{trained_on}}/{{variant}}.dev.parquet",
    log:
        f"{RESULTS}/logs/solve_pomdp/{{trained_on}}/{{variant}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/solve_pomdp/{{trained_on}}/{{variant}}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        gpu=gpus("weak", "strong", "prm"),
        mem_mb=memory_mb("weak", "strong", "prm"),
        runtime=60,
    params:
        **forest_params(),
        settings=settings_of(EXPERIMENT.routers.pomdp, "variants"),
        kappa=settings_of(EXPERIMENT.routers.kappa),
        version=STAGE["pomdp"],
    message:
        "Fitting and solving the POMDP ({wildcards.variant}) of {wildcards.trained_on}"
    script:
        "../scripts/solve_pomdp.py"


rule fit_query_router:
    input:
        encoder=encoder_folder(),
        problems=f"{RESULTS}/problems/{{trained_on}}/router_train.jsonl",
        solutions=f"{RESULTS}/solutions/{{trained_on}}.router_train.parquet",
        rollouts=f"{RESULTS}/rollouts/{{trained_on}}.router_train.parquet",
        dev_problems=f"{RESULTS}/problems/{{trained_on}}/dev.jsonl",
        dev_solutions=f"{RESULTS}/solutions/{{trained_on}}.dev.parquet",
    output:
        folder=directory(f"{RESULTS}/routers/query-level/{{trained_on}}/policies"),
        dev=f"{RESULTS}/routers/query-level/{{trained_on}}/dev.parquet",
    log:
        f"{RESULTS}/logs/fit_query_router/{{trained_on}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/fit_query_router/{{trained_on}}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        **query_params(),
        settings=settings_of(EXPERIMENT.routers.query),
        operating_points=EXPERIMENT.routers.operating_points,
        seed=EXPERIMENT.seed,
        version=STAGE["query_routers"],
    message:
        "Fitting the query-level baselines on {wildcards.trained_on}"
    script:
        "../scripts/fit_query_router.py"
