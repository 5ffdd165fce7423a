rule evaluate_routers:
    input:
        **pair_inputs(),
        **fitted_inputs(),
        # Rollouts fill the step store with what most routers share.
        rollouts=f"{RESULTS}/rollouts/{{dataset}}.test.parquet",
        problems=f"{RESULTS}/problems/{{dataset}}/test.jsonl",
    output:
        # One job for all of them: they share most steps, and servers start once.
        **episodes_of(STEPWISE + ORACLE_QUERY),
        trees=f"{RESULTS}/trees/{{dataset}}.test.parquet",
    log:
        f"{RESULTS}/logs/evaluate_routers/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate_routers/{{dataset}}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        gpu=gpus("weak", "strong", "prm"),
        mem_mb=memory_mb("weak", "strong", "prm"),
        runtime=960,
    params:
        pair=pair_params(),
        labelled=is_labelled,
        settings={
            "random_shares": EXPERIMENT.routers.random_shares,
            "others": ROUTER_SETTINGS["others"],
        },
        replicates=replicates_of("test"),
        version=STAGE["episodes"],
    message:
        "Evaluating every router on {wildcards.dataset}"
    script:
        "../scripts/evaluate_routers.py"


rule evaluate_oracles:
    input:
        **pair_inputs(),
        # Not the trees that all routers explored: their steps are in the step store too, and whoever takes a file as
        # `ancient` is not run again for its own settings where that file is made again (snakemake#4166).
        rollouts=f"{RESULTS}/rollouts/{{dataset}}.test.parquet",
        test_problems=f"{RESULTS}/problems/{{dataset}}/test.jsonl",
    output:
        **episodes_of(ORACLES),
    log:
        f"{RESULTS}/logs/evaluate_oracles/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate_oracles/{{dataset}}.tsv"
    wildcard_constraints:
        dataset="|".join(filter(has_labels, EXPERIMENT.datasets)) or "none",
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        gpu=gpus("weak", "strong", "prm"),
        mem_mb=memory_mb("weak", "strong", "prm"),
        runtime=480,
    params:
        pair=pair_params(),
        replicates=replicates_of("test"),
        version=STAGE["episodes"],
    message:
        "Evaluating the oracles on {wildcards.dataset}"
    script:
        "../scripts/evaluate_oracles.py"


rule evaluate_bounds:
    input:
        problems=f"{RESULTS}/problems/{{dataset}}/test.jsonl",
        trees=f"{RESULTS}/trees/{{dataset}}.test.parquet",
    output:
        **episodes_of(BOUNDS),
    log:
        f"{RESULTS}/logs/evaluate_bounds/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate_bounds/{{dataset}}.tsv"
    wildcard_constraints:
        dataset="|".join(UNLABELLED) or "none",
    conda:
        "../../envs/models.yaml"
    params:
        version=STAGE["bounds"],
    message:
        "Bounding what routers can reach on {wildcards.dataset}"
    script:
        "../scripts/evaluate_bounds.py"


rule route_by_prm:
    input:
        **tree_inputs("router_train", MAIN),
        **tree_inputs("dev", MAIN),
        # As for the oracles.
        rollouts=f"{RESULTS}/rollouts/{EXPERIMENT.compared_on}.test.parquet",
        test_problems=f"{RESULTS}/problems/{EXPERIMENT.compared_on}/test.jsonl",
        weak=model_folder("weak"),
        strong=model_folder("strong"),
        prm=lambda wildcards: prm_folder(wildcards.prm),
    output:
        episodes=f"{RESULTS}/episodes/by_prm/{{prm}}.parquet",
    log:
        f"{RESULTS}/logs/route_by_prm/{{prm}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/route_by_prm/{{prm}}.tsv"
    conda:
        "../../envs/routers.yaml"
    threads: 1
    resources:
        gpu=gpus("weak", "strong", "prm"),
        mem_mb=memory_mb("weak", "strong", "prm"),
        runtime=480,
    params:
        **tree_budget(),
        **compared_on(),
        pair=lambda wildcards: pair_params(wildcards.prm),
        labelled=is_labelled,
        replicates=replicates_of("train", "test"),
        settings=refit_settings(),
        routers=refitted_routers,
        main_dataset=MAIN,
        seed=EXPERIMENT.seed,
        version=STAGE["by_prm"],
    message:
        "Fitting and evaluating the routers on the main dataset with PRM {wildcards.prm}"
    script:
        "../scripts/route_by_prm.py"


rule evaluate_query_routers:
    input:
        encoder=encoder_folder(),
        problems=expand(
            f"{RESULTS}/problems/{{dataset}}/test.jsonl",
            dataset=EXPERIMENT.evaluated_on,
        ),
        solutions=expand(
            f"{RESULTS}/solutions/{{dataset}}.test.parquet",
            dataset=EXPERIMENT.evaluated_on,
        ),
        folder=f"{RESULTS}/routers/query-level/{{trained_on}}/policies",
    output:
        # One job for all of them: starting torch costs more than their decisions.
        episodes=expand(
            f"{RESULTS}/episodes/{{baseline}}/{{{{trained_on}}}}/{{dataset}}.parquet",
            dataset=EXPERIMENT.evaluated_on,
            baseline=EXPERIMENT.routers.query.baselines,
        ),
    log:
        f"{RESULTS}/logs/evaluate_query_routers/{{trained_on}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate_query_routers/{{trained_on}}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        gpu=reading_gpus(),
        mem_mb=3000,
        runtime=60,
    params:
        **query_params(),
        baselines=EXPERIMENT.routers.query.baselines,
        version=STAGE["episodes"],
    message:
        "Evaluating the query-level baselines that were fitted on {wildcards.trained_on}"
    script:
        "../scripts/evaluate_query_routers.py"


rule compute_metrics:
    input:
        episodes=EPISODES,
        # Without disjoint parts none of the main tables. Not an input of training: a new check is no reason to train again.
        checked=f"{RESULTS}/problems/disjoint.json",
    output:
        curves=report(
            f"{RESULTS}/tables/curves.csv",
            caption="../report/curves.rst",
            category="Tables",
            labels={"table": "curves"},
        ),
        main=report(
            f"{RESULTS}/tables/main.csv",
            caption="../report/main.rst",
            category="Tables",
            labels={"table": "main"},
        ),
        main_tex=f"{RESULTS}/tables/main.tex",
        comparisons=report(
            f"{RESULTS}/tables/comparisons.csv",
            caption="../report/comparisons.rst",
            category="Tables",
            labels={"table": "comparisons"},
        ),
        comparisons_tex=f"{RESULTS}/tables/comparisons.tex",
        strong_calls=f"{RESULTS}/tables/strong_calls.csv",
        provenance=f"{RESULTS}/tables/provenance.json",
    log:
        f"{RESULTS}/logs/compute_metrics.log",
    benchmark:
        f"{RESULTS}/benchmarks/compute_metrics.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        pair=EXPERIMENT.pair.name,
        bootstrap=settings_of(EXPERIMENT.bootstrap),
        seed=EXPERIMENT.seed,
        version=STAGE["tables"],
    message:
        "Computing curves, metrics and their intervals"
    script:
        "../scripts/compute_metrics.py"


rule compare_on_dev:
    input:
        episodes=list(dev_episodes()),
    output:
        main=report(
            f"{RESULTS}/tables/dev.csv",
            caption="../report/dev.rst",
            category="Tables",
            labels={"table": "metrics on dev"},
        ),
        comparisons=report(
            f"{RESULTS}/tables/dev_comparisons.csv",
            caption="../report/dev.rst",
            category="Tables",
            labels={"table": "comparisons on dev"},
        ),
    log:
        f"{RESULTS}/logs/compare_on_dev.log",
    benchmark:
        f"{RESULTS}/benchmarks/compare_on_dev.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        pair=EXPERIMENT.pair.name,
        bootstrap=settings_of(EXPERIMENT.bootstrap),
        seed=EXPERIMENT.seed,
        version=STAGE["tables"],
    message:
        "Comparing the fitted routers on dev, where they were chosen"
    script:
        "../scripts/compare_on_dev.py"


rule compute_end_points:
    input:
        **get_labelled_rollouts(),
    output:
        end_points=report(
            f"{RESULTS}/tables/end_points.csv",
            caption="../report/end_points.rst",
            category="Tables",
            labels={"table": "both models alone"},
        ),
    log:
        f"{RESULTS}/logs/compute_end_points.log",
    benchmark:
        f"{RESULTS}/benchmarks/compute_end_points.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        bootstrap=RESAMPLING,
        seed=EXPERIMENT.seed,
        version=STAGE["tables"],
    message:
        "Measuring both models alone, by answers and by steps"
    script:
        "../scripts/compute_end_points.py"


rule measure_prm:
    input:
        **get_labelled_scores(),
    output:
        quality=report(
            f"{RESULTS}/tables/prm_quality.csv",
            caption="../report/prm_quality.rst",
            category="Tables",
            labels={"table": "PRM quality"},
        ),
        reliability=f"{RESULTS}/tables/prm_reliability.csv",
        histogram=f"{RESULTS}/tables/prm_histogram.csv",
    log:
        f"{RESULTS}/logs/measure_prm.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_prm.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        bootstrap=RESAMPLING,
        seed=EXPERIMENT.seed,
        version=STAGE["tables"],
    message:
        "Measuring how well the PRMs verify"
    script:
        "../scripts/measure_prm.py"


rule measure_outcomes:
    input:
        **get_outcome_scores(),
    output:
        outcomes=report(
            f"{RESULTS}/tables/prm_outcomes.csv",
            caption="../report/prm_outcomes.rst",
            category="Tables",
            labels={"table": "PRM scores and final answers"},
        ),
        reliability=f"{RESULTS}/tables/prm_outcome_reliability.csv",
    log:
        f"{RESULTS}/logs/measure_outcomes.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_outcomes.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        bootstrap=RESAMPLING,
        seed=EXPERIMENT.seed,
        version=STAGE["tables"],
    message:
        "Measuring how well PRM scores foresee final answers"
    script:
        "../scripts/measure_outcomes.py"
