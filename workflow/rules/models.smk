rule train_language_model:
    input:
        dev=f"{RESULTS}/problems/{MAIN}/dev.jsonl",
    output:
        folder=directory(f"{RESULTS}/models/{{role}}"),
    log:
        f"{RESULTS}/logs/train_language_model/{{role}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_language_model/{{role}}.tsv"
    priority: 10  # the longest job of the embedded experiment: start it first
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        model=lambda wildcards: settings_of(getattr(EXPERIMENT.pair, wildcards.role)),
        datasets=families(),
        mix=dict(EXPERIMENT.training_mix),
        sampling=settings_of(EXPERIMENT.sampling),
        seed=EXPERIMENT.seed,
        version=STAGE["language_model"],
    message:
        "Training the {wildcards.role} language model from scratch"
    script:
        "../scripts/train_language_model.py"


rule train_prm:
    input:
        problems=f"{RESULTS}/problems/{MAIN}/prm_train.jsonl",
        rollouts=f"{RESULTS}/rollouts/{MAIN}.prm_train.parquet",
        backbone=get_backbone,
    output:
        folder=directory(f"{RESULTS}/models/prm-{{prm}}"),
    log:
        f"{RESULTS}/logs/train_prm/{{prm}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_prm/{{prm}}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        gpu=prm_training_gpus,
        mem_mb=prm_training_mb,
        runtime=120,
    params:
        pair=lambda wildcards: scorer_params(wildcards.prm),
        prm=lambda wildcards: settings_of(EXPERIMENT.prms[wildcards.prm]),
        datasets=families(),
        mix=dict(EXPERIMENT.training_mix),
        seed=EXPERIMENT.seed,
        version=STAGE["prm"],
    message:
        "Training the process reward model {wildcards.prm}"
    script:
        "../scripts/train_prm.py"
