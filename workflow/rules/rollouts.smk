rule collect_rollouts:
    input:
        weak=model_folder("weak"),
        strong=model_folder("strong"),
        problems=f"{RESULTS}/problems/{{dataset}}/{{split}}.jsonl",
    output:
        steps=temp(
            f"{RESULTS}/rollouts/shards/{{dataset}}.{{split}}.{{scatteritem}}.parquet"
        ),
    log:
        f"{RESULTS}/logs/collect_rollouts/{{dataset}}.{{split}}.{{scatteritem}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/collect_rollouts/{{dataset}}.{{split}}.{{scatteritem}}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        gpu=gpus("weak", "strong"),
        mem_mb=memory_mb("weak", "strong"),
        runtime=240,
    params:
        pair=pair_params(prm=None),
        replicates=replicates,
        labelled=is_labelled,
        version=STAGE["rollouts"],
    message:
        "Collecting weak, strong and mixed rollouts of {wildcards.dataset} ({wildcards.split}, part {wildcards.scatteritem})"
    script:
        "../scripts/collect_rollouts.py"


rule gather_rollouts:
    input:
        shards=gather.shard(
            f"{RESULTS}/rollouts/shards/{{{{dataset}}}}.{{{{split}}}}.{{scatteritem}}.parquet"
        ),
    output:
        steps=f"{RESULTS}/rollouts/{{dataset}}.{{split}}.parquet",
    log:
        f"{RESULTS}/logs/gather_rollouts/{{dataset}}.{{split}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/gather_rollouts/{{dataset}}.{{split}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    message:
        "Joining the rollouts of {wildcards.dataset} ({wildcards.split})"
    script:
        "../scripts/gather_tables.py"


rule score_rollouts:
    input:
        prm=lambda wildcards: prm_folder(wildcards.prm),
        backbone=get_backbone_of_reading,
        problems=f"{RESULTS}/problems/{{dataset}}/{{split}}.jsonl",
        rollouts=f"{RESULTS}/rollouts/{{dataset}}.{{split}}.parquet",
    output:
        steps=temp(
            f"{RESULTS}/scores/shards/{{prm}}/{{dataset}}.{{split}}.{{scatteritem}}.parquet"
        ),
    log:
        f"{RESULTS}/logs/score_rollouts/{{prm}}/{{dataset}}.{{split}}.{{scatteritem}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/score_rollouts/{{prm}}/{{dataset}}.{{split}}.{{scatteritem}}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        gpu=gpus("prm"),
        mem_mb=memory_mb("prm"),
        runtime=120,
    params:
        pair=lambda wildcards: scorer_params(wildcards.prm),
        version=STAGE["scores"],
    message:
        "Scoring the rollouts of {wildcards.dataset} ({wildcards.split}, part {wildcards.scatteritem}) with PRM {wildcards.prm}"
    script:
        "../scripts/score_rollouts.py"


rule gather_scores:
    input:
        shards=gather.shard(
            f"{RESULTS}/scores/shards/{{{{prm}}}}/{{{{dataset}}}}.{{{{split}}}}.{{scatteritem}}.parquet"
        ),
    output:
        steps=f"{RESULTS}/scores/{{prm}}/{{dataset}}.{{split}}.parquet",
    log:
        f"{RESULTS}/logs/gather_scores/{{prm}}/{{dataset}}.{{split}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/gather_scores/{{prm}}/{{dataset}}.{{split}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    message:
        "Joining the scores of PRM {wildcards.prm} on {wildcards.dataset} ({wildcards.split})"
    script:
        "../scripts/gather_tables.py"


rule grow_trees:
    input:
        **pair_inputs(),
        # Rollouts fill the step store with what most of a tree shares.
        rollouts=f"{RESULTS}/rollouts/{{dataset}}.{{split}}.parquet",
        problems=f"{RESULTS}/problems/{{dataset}}/{{split}}.jsonl",
    output:
        trees=f"{RESULTS}/trees/{{dataset}}.{{split}}.parquet",
    log:
        f"{RESULTS}/logs/grow_trees/{{dataset}}.{{split}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/grow_trees/{{dataset}}.{{split}}.tsv"
    wildcard_constraints:
        split="router_train|dev",
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        gpu=gpus("weak", "strong", "prm"),
        mem_mb=memory_mb("weak", "strong", "prm"),
        runtime=480,
    params:
        **tree_budget(),
        pair=pair_params(),
        replicates=replicates_of("train"),
        labelled=is_labelled,
        largest_tree=EXPERIMENT.routers.largest_tree,
        version=STAGE["trees"],
    message:
        "Exploring the trees of {wildcards.dataset} ({wildcards.split})"
    script:
        "../scripts/grow_trees.py"


rule collect_solutions:
    input:
        **pair_inputs(),
        # Rollouts fill the step store with one weak and one strong solution of each replicate.
        rollouts=f"{RESULTS}/rollouts/{{dataset}}.{{split}}.parquet",
        problems=f"{RESULTS}/problems/{{dataset}}/{{split}}.jsonl",
    output:
        solutions=f"{RESULTS}/solutions/{{dataset}}.{{split}}.parquet",
    log:
        f"{RESULTS}/logs/collect_solutions/{{dataset}}.{{split}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/collect_solutions/{{dataset}}.{{split}}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        gpu=gpus("weak", "strong", "prm"),
        mem_mb=memory_mb("weak", "strong", "prm"),
        runtime=480,
    params:
        pair=pair_params(),
        replicates=replicates,
        samples=EXPERIMENT.routers.query.samples,
        labelled=is_labelled,
        version=STAGE["solutions"],
    message:
        "Collecting what query-level baselines choose from on {wildcards.dataset} ({wildcards.split})"
    script:
        "../scripts/collect_solutions.py"
