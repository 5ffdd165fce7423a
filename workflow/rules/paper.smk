# The manuscript. Included last: what it shows may come from any stage.


rule write_numbers:
    input:
        texts=[MANUSCRIPT, PREAMBLE],
        tables=get_numbered,
        provenance=f"{RESULTS}/tables/provenance.json",
        published=published("table1", "table2", "anchors", "abstracts"),
    output:
        numbers=f"{RESULTS}/paper/numbers.tex",
        tables=NARROW,
    log:
        f"{RESULTS}/logs/write_numbers.log",
    benchmark:
        f"{RESULTS}/benchmarks/write_numbers.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        # What the narrow tables show.
        dataset=EXPERIMENT.evaluated_on[0],
        trained_on=EXPERIMENT.routers.trained_on[0],
        settings=settings_of(
            EXPERIMENT, "manuscript", "offline", "step_store", "serving"
        ),
        version=STAGE["paper"],
    message:
        "Writing the numbers of the manuscript"
    script:
        "../scripts/write_numbers.py"


rule build_paper:
    input:
        sources=[
            MANUSCRIPT,
            PREAMBLE,
            shipped("paper/references.bib"),
            f"{RESULTS}/paper/numbers.tex",
        ],
        figures=get_included("figure", "pdf"),
        tables=get_included("table", "tex"),
    output:
        pdf=f"{RESULTS}/paper/main.pdf",
    log:
        f"{RESULTS}/logs/build_paper.log",
    benchmark:
        f"{RESULTS}/benchmarks/build_paper.tsv"
    conda:
        "../../envs/paper.yaml"
    params:
        version=STAGE["paper"],
    message:
        "Building the manuscript"
    script:
        "../scripts/build_paper.py"
