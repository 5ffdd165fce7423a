"""Compare all routers at several prices of tokens, and judge the headline claims of the paper at each of them."""

from pathlib import Path

from pydantic import TypeAdapter

from trim.config.experiment import Bootstrap
from trim.config.prices import Parameters, PriceVector
from trim.evaluation.claims.prices import price_verdicts
from trim.evaluation.claims.published import Paper
from trim.evaluation.claims.world import World
from trim.evaluation.prices import PRICED_COLUMNS, price_curves, price_studies, price_table, priced, vectors
from trim.evaluation.study import read_episodes
from trim.files import read_json
from trim.jobs import open_job

with open_job(snakemake) as job:
    params, given, output = job.params, job.input, job.output
    bootstrap, published = Bootstrap.model_validate(params.bootstrap), Path(given.claims).parent
    trained = {role: folder for role in ("weak", "strong") if (folder := given[role])}
    sizes = {role: read_json(Path(folder) / "metrics.json")["parameters"] for role, folder in trained.items()}
    parameters = Parameters(**sizes, prm=sizes.get(params.prm_starts_from))
    named = TypeAdapter(dict[str, PriceVector]).validate_python(dict(params.prices))
    named = dict(sorted(named.items(), key=lambda item: item[1].kind != "decoded"))  # the paper's price comes first
    prices = vectors(named, parameters)
    episodes = priced(read_episodes(given.episodes, PRICED_COLUMNS), prices)
    studies = price_studies(episodes, list(prices), bootstrap, params.seed)
    worlds = {
        price: World(
            evidence={dataset: found[dataset] for dataset in params.evaluated_on},
            by_prm={},
            main=params.main_dataset,
            trained_on=params.trained_on,
            prm=params.prm,
            auc={},
            paper=Paper(published),
        )
        for price, found in studies.items()
        if set(found) >= set(params.evaluated_on)
    }
    job.write_csv(price_table(studies, bootstrap.level), output.prices)
    job.write_csv(price_curves(studies, bootstrap.level), output.curves, exact=["operating_point"])
    job.write_csv(price_verdicts(worlds, published, bootstrap.level), output.verdicts)
