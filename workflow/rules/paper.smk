# The manuscript. Included last: what it shows may come from any stage.

MANUSCRIPT = "paper/main.tex"
NUMBERS = f"{RESULTS}/paper/numbers.tex"
# Tables that are made for the manuscript alone.
NARROW = ("end_points", "routers", "baselines", *(["prms"] if MEASURED else []))


def get_numbered(wildcards):
    """Tables whose rows become numbers in the text."""
    return [path for path in TABLES if Path(path).stem in READ and path.endswith("csv")]


def get_included(kind, suffix):
    """Files of one kind that the manuscript includes, as far as the experiment makes them."""

    def paths(wildcards):
        named = included(Path(MANUSCRIPT).read_text(encoding="utf-8"))[kind]
        wanted = {f"{RESULTS}/{kind}s/{name}.{suffix}" for name in named}
        return sorted(wanted.intersection(get_final_output()))

    return paths


rule write_numbers:
    input:
        manuscript=MANUSCRIPT,
        tables=get_numbered,
        provenance=f"{RESULTS}/tables/provenance.json",
        published=[
            f"data/published/{name}.csv" for name in ("table1", "table2", "anchors")
        ],
    output:
        numbers=NUMBERS,
        tables=[f"{RESULTS}/tables/{name}.tex" for name in NARROW],
    log:
        f"{RESULTS}/logs/write_numbers.log",
    benchmark:
        f"{RESULTS}/benchmarks/write_numbers.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        home=HOME,
        settings={
            key: value
            for key, value in SETTINGS.items()
            if key not in ("offline", "step_store", "serving")
        },
        version=STAGE["paper"],
    message:
        "Writing the numbers of the manuscript"
    script:
        "../scripts/write_numbers.py"


rule build_paper:
    input:
        sources=[MANUSCRIPT, "paper/references.bib", NUMBERS],
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
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        version=STAGE["paper"],
    message:
        "Building the manuscript"
    script:
        "../scripts/build_paper.py"


TABLES += [NUMBERS, *(f"{RESULTS}/tables/{name}.tex" for name in NARROW)]
