"""Write the numbers and the narrow tables of the manuscript."""

from pathlib import Path

from trim.config.parsing import parse_config
from trim.files import read_csv, read_json
from trim.jobs import open_job
from trim.paper.numbers import all_numbers, choose, known_words, render, used_keys
from trim.paper.tables import baseline_table, end_point_table, needed_prm_table, prm_table, router_table

with open_job(snakemake) as job:
    files, params = job.input, job.params
    tables = {Path(path).stem: read_csv(path) for path in [*files.tables, *files.published]}
    numbers = all_numbers(tables, params.settings, read_json(files.provenance))
    used = used_keys("".join(Path(path).read_text(encoding="utf-8") for path in files.texts))
    chosen, lacking, wrong = choose(used, numbers, known_words(parse_config({}).model_dump(mode="json")))
    job.log.info("%d numbers in the text, of %d there are", len(chosen), len(numbers))
    for key in lacking:
        job.log.warning("%s is a dash: this experiment has no such row", key)
    for key in wrong:
        job.log.error("%s is left undefined: there is no such table, column or word", key)
    shown = (params.dataset, params.trained_on)
    texts = {
        "numbers": render(chosen, f"Written from the tables of {Path(files.provenance).parent}; not to be edited."),
        "end_points": end_point_table(tables["curves"], tables.get("end_points")),
        "routers": router_table(tables["main"], *shown),
        "baselines": baseline_table(tables["comparisons"], *shown),
        "prms": prm_table(tables["prm_quality"]) if "prm_quality" in tables else "",
        "needed_prm": needed_prm_table(tables["needed_prm"]) if "needed_prm" in tables else "",
    }
    for path in map(Path, job.output):
        job.write_text(texts[path.stem], path)
