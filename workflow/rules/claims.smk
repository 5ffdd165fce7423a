# The claims ledger: what the paper says, beside what this experiment found.

# What statements about the paper are made of.
PUBLISHED = published(
    *("table1", "table2", "table7", "table8", "abstracts"),
    *("figure6", "anchors", "log_math500_thr", "log_math500_pomdp"),
)


rule compute_prices:
    input:
        # How large the models are that this pipeline trained.
        weak=model_folder("weak"),
        strong=model_folder("strong"),
        episodes=EPISODES,
        claims=CLAIMS,
        published=PUBLISHED,
    output:
        prices=report(
            f"{RESULTS}/tables/prices.csv",
            caption="../report/prices.rst",
            category="Tables",
            labels={"table": "prices"},
        ),
        curves=f"{RESULTS}/tables/price_curves.csv",
        verdicts=report(
            f"{RESULTS}/tables/price_verdicts.csv",
            caption="../report/prices.rst",
            category="Tables",
            labels={"table": "headline verdicts by price"},
        ),
    log:
        f"{RESULTS}/logs/compute_prices.log",
    benchmark:
        f"{RESULTS}/benchmarks/compute_prices.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        prices={name: settings_of(price) for name, price in EXPERIMENT.prices.items()},
        prm_starts_from=prm_backbone(),
        evaluated_on=list(EXPERIMENT.evaluated_on),
        main_dataset=MAIN,
        trained_on=list(EXPERIMENT.routers.trained_on),
        prm=EXPERIMENT.pair.prm,
        bootstrap=RESAMPLING,
        seed=EXPERIMENT.seed,
        version=STAGE["prices"],
    message:
        "Comparing routers at other prices of tokens"
    script:
        "../scripts/compute_prices.py"


rule check_claims:
    input:
        episodes=EPISODES,
        by_prm=BY_PRM_EPISODES,
        main=f"{RESULTS}/tables/main.csv",
        training=f"{RESULTS}/tables/training.csv",
        quality=f"{RESULTS}/tables/prm_quality.csv" if MEASURED else [],
        verdicts=f"{RESULTS}/tables/price_verdicts.csv",
        claims=CLAIMS,
        published=PUBLISHED,
    output:
        claims=report(
            f"{RESULTS}/tables/claims.csv",
            caption="../report/claims.rst",
            category="Tables",
            labels={"table": "claims"},
        ),
        claims_tex=f"{RESULTS}/tables/claims.tex",
        metric_check=report(
            f"{RESULTS}/tables/metric_check.csv",
            caption="../report/metric_check.rst",
            category="Tables",
            labels={"table": "metric check"},
        ),
    log:
        f"{RESULTS}/logs/check_claims.log",
    benchmark:
        f"{RESULTS}/benchmarks/check_claims.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        evaluated_on=list(EXPERIMENT.evaluated_on),
        main_dataset=MAIN,
        trained_on=list(EXPERIMENT.routers.trained_on),
        prm=EXPERIMENT.pair.prm,
        noisy=noisy_prm(),
        models=model_names(),
        bootstrap=settings_of(EXPERIMENT.bootstrap),
        seed=EXPERIMENT.seed,
        version=STAGE["claims"],
    message:
        "Checking the claims of the paper"
    script:
        "../scripts/check_claims.py"
