"""The command `trim`: what is handier outside the workflow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from trim.deploy.commands import add_commands
from trim.errors import ConfigError, one_sentence
from trim.serve.command import serve

if TYPE_CHECKING:
    from trim.archive.parts import Manifest

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Routers in use, and tools around the workflow.")
store = typer.Typer(no_args_is_help=True, help="The step store: check it, or make an archive of it (docs/replay.md).")
app.add_typer(store, name="store")
checkpoints = typer.Typer(no_args_is_help=True, help="Trained models as an archive, to start from: docs/replay.md.")
app.add_typer(checkpoints, name="checkpoints")
prefixes = typer.Typer(no_args_is_help=True, help="Prefixes labelled with what both actions bring: docs/prefixes.md.")
app.add_typer(prefixes, name="prefixes")
add_commands(app)
app.command()(serve)

StoreFolder = Annotated[Path, typer.Option("--step-store", help="Folder of the step store.")]
ArchiveFolder = Annotated[Path, typer.Argument(help="Folder of the archive, such as data/replay/qwen_gsm8k.")]
Overlays = Annotated[
    list[Path] | None, typer.Option("--configfile", help="Overlay of the experiment; give it again for further ones.")
]
Most = Annotated[float, typer.Option(help="Most megabytes that the archive may have.")]


@app.callback()
def main() -> None:
    """Use routers, and what is around the workflow; the experiment runs through `trim run`, `make` or `snakemake`."""


class _Passed(TyperCommand):
    """A command whose arguments another program reads, all of them: `--` and `--help` too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.args = list(args)
        return []


@app.command("run", cls=_Passed)
def run_command(context: typer.Context) -> None:
    """Run the workflow in this folder: options and targets of Snakemake, --replay ARCHIVE; --help says more."""
    from trim.reproduce import SNAKEMAKE, main
    from trim.shipped import workflow_root

    snakefile = str(workflow_root() / "Snakefile")
    raise typer.Exit(main(context.args, [*SNAKEMAKE, "--snakefile", snakefile], "trim run"))


@app.command()
def config(
    write: Annotated[bool, typer.Option("--write", help="Write the generated files.")] = False,
    overlay: Annotated[
        list[Path] | None,
        typer.Option("--check", help="Check config.yaml with this overlay on top; give it again for further ones."),
    ] = None,
) -> None:
    """Check the config, or generate config.yaml, its page and its schema from the models."""
    from trim.config.experiment import config_hash
    from trim.config.reading import missing_files, read_experiment
    from trim.documents.config_pages import stale_files, write_files

    root = Path.cwd()
    if write:
        write_files(root)
    stale = stale_files(root) if (root / "config.yaml").exists() else []  # elsewhere, there are none
    if stale:
        typer.echo(f"out of date: {', '.join(map(str, stale))}; run `trim config --write`", err=True)
        raise typer.Exit(1)
    with one_sentence():
        experiment = read_experiment(root, overlay or [])
        for missing in missing_files(experiment):
            raise ConfigError(missing)
    typer.echo(f"{experiment.experiment}: config {config_hash(experiment.decisive)} is valid")


@app.command()
def golden(
    overlay: Annotated[Path, typer.Argument(help="Overlay of the experiment, such as config/qwen_math.yaml.")],
    out: Annotated[Path, typer.Argument(help="File to write; name it under prms.<name>.golden.")],
    prm: Annotated[str | None, typer.Option(help="Entry of `prms`; by default the one that routes.")] = None,
) -> None:
    """Compute a served PRM's golden scores with the transformers backend, on the CPU."""
    from trim.config.models import ServedPRM
    from trim.config.reading import read_experiment
    from trim.models.served.golden import write_golden

    with one_sentence():
        experiment = read_experiment(Path.cwd(), [overlay])
        spec = experiment.prms.get(prm or experiment.pair.prm)
        if not isinstance(spec, ServedPRM):
            raise ConfigError(f"{overlay}: prms.{prm or experiment.pair.prm} is no served PRM")
        write_golden(spec, out)
    typer.echo(f"{out}: golden scores of {spec.name}")


@app.command()
def readme() -> None:
    """Fill the generated parts of README.md from the results that are there."""
    from trim.documents.readme import fill_readme

    with one_sentence():
        filled = fill_readme(Path.cwd())
    typer.echo(f"README.md and docs/figures are up to date with the results of {' and '.join(filled)}")


@app.command()
def seeds(
    results: Annotated[
        list[Path], typer.Argument(help="Folders of results that differ in their seed: results/seed-1.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for seeds.csv and its figure.")] = Path("results/seeds"),
    beside: Annotated[Path | None, typer.Option(help="Results whose verdicts stand beside: results/embedded.")] = None,
) -> None:
    """Count in how many runs of the whole pipeline each statement of the claims ledger holds."""
    import pandas as pd

    from trim.evaluation.claims.seeds import count_verdicts, off_target, read_ledgers
    from trim.figures.claims import draw
    from trim.figures.style import save
    from trim.files import read_json, write_csv

    with one_sentence():
        ledgers = read_ledgers(results)
        other = read_ledgers([beside])[beside.name] if beside else None
        counted = count_verdicts(ledgers, other)
        write_csv(counted, out / "seeds.csv")
        origins = [read_json(folder / "tables" / "provenance.json") for folder in results]
        figure = draw(pd.concat(list(ledgers.values()), ignore_index=True))
        save(figure, [out / f"seeds.{kind}" for kind in ("pdf", "png")], origins[0])
    if len({origin["code"] for origin in origins}) > 1:
        typer.echo(f"made with different code: {', '.join(origin['code'] for origin in origins)}", err=True)
    for folder in results:
        for sentence in off_target(folder):
            typer.echo(sentence, err=True)
    headlines = counted[counted["headline"].notna()]
    for row in headlines.to_dict("records"):
        typer.echo(f"{row['verdict']}: {row['claim']}")
    typer.echo(f"{out}: {len(counted)} statements over {len(ledgers)} runs")


@app.command()
def claims() -> None:
    """Write docs/claims.md: each claim of the paper, how to reproduce its verdict, and what to expect."""
    from trim.documents.claims_page import PAGE, write_claims

    with one_sentence():
        write_claims(Path.cwd())
    typer.echo(f"{PAGE}: written")


# --- labelled prefixes ------------------------------------------------------------------


@prefixes.command("label")
def label(
    trees: Annotated[Path, typer.Argument(help="Explored trees: results/embedded/trees/arith.dev.parquet.")],
    problems: Annotated[Path, typer.Argument(help="Their problems: results/embedded/problems/arith/dev.jsonl.")],
    out: Annotated[Path, typer.Argument(help="Table to write.")],
) -> None:
    """Label the prefixes of explored trees with what keeping and regenerating the draft bring."""
    from trim.files import read_parquet, write_parquet
    from trim.layouts import NODES
    from trim.problems.problem import read_problems
    from trim.rollout.tables import known_trees
    from trim.routers.prefixes import LabelledPrefixes

    with one_sentence():
        grown = known_trees(read_problems(problems), read_parquet(trees, NODES)).close(undrafted=True)
        table = LabelledPrefixes.of(grown).table()
        write_parquet(table, out, {"trees": trees.name})
    typer.echo(f"{out}: {len(table)} prefixes")


@prefixes.command("score")
def score(
    table: Annotated[Path, typer.Argument(help="What `trim prefixes label` wrote.")],
    decisions: Annotated[Path, typer.Argument(help="CSV with a row a prefix: prefix,regenerate (0 or 1).")],
    kappa: Annotated[
        list[float] | None, typer.Option(help="Trade-off; may repeat. Else those of `prefixes.csv`.")
    ] = None,
) -> None:
    """Score decisions at labelled prefixes, as CSV."""
    import pandas as pd

    from trim.errors import InputError
    from trim.evaluation.prefixes import KAPPAS, score_decisions
    from trim.files import read_parquet
    from trim.layouts import PREFIXES

    with one_sentence():
        try:
            given = pd.read_csv(decisions)
        except ValueError as error:
            raise InputError(f"{decisions}: no CSV ({error}); it has a row a prefix: prefix,regenerate") from None
        scored = score_decisions(read_parquet(table, PREFIXES), given, kappa or KAPPAS)
    typer.echo(scored.to_csv(index=False, float_format="%.4g"), nl=False)


# --- archives of the step store ---------------------------------------------------------


@store.command("export")
def export_command(
    folder: ArchiveFolder,
    configfile: Overlays = None,
    licence: Annotated[
        list[str] | None,
        typer.Option(help="Licence of a model or dataset whose section says none: pair.weak=Apache-2.0; may repeat."),
    ] = None,
    most: Most = 10.0,
) -> None:
    """Write what the step store holds of an experiment that has run here, in parts of at most 1 MB."""
    from trim.archive.export import export_store

    with one_sentence():
        said = [text.partition("=") for text in licence or []]
        if odd := [key for key, _, name in said if not name]:
            raise ConfigError(f"--licence {odd[0]}: write key=licence, as in pair.weak=Apache-2.0")
        licences = {key: name for key, _, name in said}
        manifest = export_store(configfile or [], folder, licences, int(most * 1e6), Path.cwd())
        _show(manifest)
        typer.echo(f"{folder}: exported")


@checkpoints.command("export")
def export_checkpoints_command(folder: ArchiveFolder, configfile: Overlays = None, most: Most = 10.0) -> None:
    """Write the models that an experiment has trained here, in parts of at most 1 MB."""
    from trim.archive.checkpoints import export_checkpoints

    with one_sentence():
        manifest = export_checkpoints(configfile or [], folder, int(most * 1e6), Path.cwd())
        size = sum(part.size for part in manifest.parts)
        typer.echo(f"{folder}: {', '.join(manifest.licences)}; {size / 1e6:.2f} MB")


@checkpoints.command("import")
@store.command("import")
def import_command(
    folder: ArchiveFolder,
    step_store: StoreFolder = Path("step_store"),
) -> None:
    """Lay an archive into a step store; what is there already stays."""
    from trim.archive.parts import import_archive

    with one_sentence():
        manifest, new = import_archive(folder, step_store)
        typer.echo(f"{step_store}: {new} of {len(manifest.files)} files of {manifest.experiment} are new")


@store.command("verify")
def verify_command(folder: ArchiveFolder) -> None:
    """Check an archive down to the last step, and say what it holds."""
    from trim.archive.export import verify_archive

    with one_sentence():
        _show(verify_archive(folder))
        typer.echo(f"{folder}: whole and sound")


@store.command("check")
def check_command(step_store: StoreFolder = Path("step_store")) -> None:
    """Check every file of a step store, and set aside what is damaged: what it held is made again."""
    from trim.models.checking import check_store, set_aside

    with one_sentence():
        checked = check_store(step_store)
        for path, why in checked.damaged.items():
            typer.echo(f"{path}: damaged ({why})", err=True)
        for sentence in checked.to_delete:
            typer.echo(sentence, err=True)
        for path in checked.damaged:
            typer.echo(f"{set_aside(path)}: set aside; what it held is made again by the next run", err=True)
        typer.echo(f"{step_store}: {checked.entries:,} entries in {checked.segments:,} segments are sound")
    if checked.damaged or checked.to_delete:
        raise typer.Exit(1)


def _show(manifest: Manifest) -> None:
    from rich.console import Console
    from rich.table import Table

    size = sum(part.size for part in manifest.parts)
    table = Table("model", "", "part", "entries", title=f"{manifest.experiment}: {size / 1e6:.2f} MB")
    for held in manifest.held:
        table.add_row(held.model, held.kind, held.part, f"{held.entries:,}")
    Console(markup=False).print(table)


if __name__ == "__main__":
    sys.exit(app())
