"""The commands around a deployed router: solve, calibrate, review, evaluate, inspect, doctor."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trim.errors import InputError, TrimError, one_sentence

if TYPE_CHECKING:
    from trim.deploy.choosing import Target

Place = Annotated[
    Path | None,
    typer.Option("--deployed", help="Folder of a deployed router; without one, this experiment's."),
]
Overlays = Annotated[
    list[Path] | None, typer.Option("--configfile", help="Overlay of the experiment; give it again for further ones.")
]
Model = Annotated[str | None, typer.Option(help="Operating point, such as trim-thr-0.7; by default the first one.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads for models that run in this process.")]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (solve, calibrate, review, evaluate, inspect, doctor):
        app.command()(command)


def solve(
    text: Annotated[str | None, typer.Argument(help="The problem.")] = None,
    file: Annotated[Path | None, typer.Option(help="File that holds the problem.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Dataset of the experiment to take a problem from.")] = None,
    split: Annotated[str, typer.Option(help="Its split.")] = "test",
    problem: Annotated[int, typer.Option(help="Which of its problems, from 1.")] = 1,
    deployed: Place = None,
    configfile: Overlays = None,
    model: Model = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same steps.")] = None,
    strong_tokens: Annotated[int | None, typer.Option(min=0, help="Budget of strong tokens.")] = None,
    drafts: Annotated[bool, typer.Option("--drafts", help="Show drafts that were thrown away too.")] = False,
    threads: Threads = 1,
) -> None:
    """Solve one problem, and show each step as it is written: by whom, its score, why, and what it all cost."""
    from rich.console import Console

    from trim.config.reading import read_experiment
    from trim.deploy.answering import Answering
    from trim.deploy.opening import open_deployed
    from trim.deploy.solving import show
    from trim.deploy.sources import find_deployed, find_prepared, find_problem
    from trim.models.store import StepStore

    with one_sentence():
        root = Path.cwd()
        found = find_deployed(deployed, configfile or [], root)
        if dataset is None:
            asked = find_problem(text, file)
            store = StepStore(root / "step_store", "asked", keeps=False)
        else:
            if text is not None or file is not None:
                raise InputError("name one problem: its text, --file, or --dataset with --problem")
            experiment = read_experiment(root, configfile or [])
            asked = find_prepared(experiment, root, dataset, split, problem)
            store = StepStore(root / experiment.step_store, f"{dataset}.{split}", experiment.offline)
            seed = 0 if seed is None else seed  # the first replicate, whose steps the experiment has stored
        chosen = secrets.randbits(31) if seed is None else seed
        with open_deployed(found, store, root / "logs", threads) as opened:
            point = opened.at(model or next(iter(found.manifest.points)))
            show(Answering(opened, point, asked, chosen, strong_tokens), Console(markup=False), drafts=drafts)


def calibrate(
    budget: Annotated[str | None, typer.Option(help="Most strong tokens, of strong alone's: 20%.")] = None,
    accuracy: Annotated[str | None, typer.Option(help="Least accuracy, of strong alone's: 95%.")] = None,
    dollars_per_1k: Annotated[float | None, typer.Option(min=0, help="Most dollars for 1,000 problems.")] = None,
    prices: Annotated[str, typer.Option(help="Entry of `prices` that dollars are counted by.")] = "api",
    router: Annotated[list[str] | None, typer.Option(help="Router to choose of; may repeat. Else any.")] = None,
    variant: Annotated[str | None, typer.Option(help="Its variant; else the first that there is.")] = None,
    trained_on: Annotated[str | None, typer.Option(help="Dataset of fit and choice; else the main one.")] = None,
    check_on: Annotated[str | None, typer.Option(help="Dataset whose test problems check it; else the same.")] = None,
    cautious: Annotated[bool, typer.Option("--cautious", help="The interval on dev must keep the bound too.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder to write; else deployed/<experiment>.")] = None,
    configfile: Overlays = None,
) -> None:
    """Choose an operating point on dev, check it on test with intervals, and write a deployed router and its report."""
    from trim.config.reading import read_experiment
    from trim.deploy.calibration import Wanted
    from trim.deploy.calibration import calibrate as run
    from trim.deploy.manifest import REPORT
    from trim.deploy.report import write_report

    with one_sentence():
        root = Path.cwd()
        target = _target(budget, accuracy, dollars_per_1k, cautious)
        experiment = read_experiment(root, configfile or [])
        dataset = trained_on or experiment.main_dataset
        elsewhere = experiment.compared_on if dataset == experiment.main_dataset else dataset
        counted = prices if target.measure == "dollars_per_1k" else None
        wanted = Wanted(target, dataset, check_on or elsewhere, router or (), variant, counted)
        folder = out or root / "deployed" / experiment.experiment
        name, deployed = run(experiment, root, wanted, folder)
        write_report(deployed)
        found = deployed.manifest.points[name].calibration
        typer.echo((folder / REPORT).read_text(encoding="utf-8"))
        typer.echo(f"{folder}: {name}, {found.verdict if found else ''}; `trim serve --deployed {folder}`")


def _target(budget: str | None, accuracy: str | None, dollars: float | None, cautious: bool) -> Target:
    """Return the one target that was asked for."""
    from trim.deploy.choosing import Target

    given = [text is not None for text in (budget, accuracy, dollars)]
    if sum(given) != 1:
        raise InputError("name one target: --budget 20%, --accuracy 95%, or --dollars-per-1k 0.5")
    if budget is not None:
        return Target("strong_share", _share(budget, "--budget"), cautious)
    if accuracy is not None:
        return Target("accuracy_share", _share(accuracy, "--accuracy"), cautious)
    return Target("dollars_per_1k", float(dollars or 0), cautious)


def _share(text: str, option: str) -> float:
    """Read a share: 20% or 0.2."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 2:
        raise InputError(f"{option} {text}: write a share such as 20% or 0.2")
    return round(share, 9)


def review(
    deployed: Annotated[Path, typer.Argument(help="Folder of a deployed router.")],
    by: Annotated[str, typer.Option(help="Who looked at it.")],
    note: Annotated[str, typer.Option(help="What there is to say.")] = "",
) -> None:
    """Write down who looked at a deployed router as it is now; a change afterwards shows."""
    from trim.deploy.calibration import review as run
    from trim.deploy.manifest import read_manifest
    from trim.deploy.report import write_report

    with one_sentence():
        found = read_manifest(deployed)
        found.check()
        write_report(run(found, by, note))
    typer.echo(f"{deployed}: reviewed by {by}")


def evaluate(
    problems: Annotated[Path, typer.Argument(help="JSON lines, a problem with its answer a line.")],
    deployed: Place = None,
    configfile: Overlays = None,
    model: Model = None,
    layout: Annotated[str, typer.Option(help="Which fields hold what: math, aime, gsm8k, olympiadbench.")] = "math",
    limit: Annotated[int | None, typer.Option(min=2, help="Only the first problems.")] = None,
    replicates: Annotated[int, typer.Option(min=1, help="Samples of each problem.")] = 1,
    step_store: Annotated[Path, typer.Option(help="Keeps steps, so that none is paid for twice.")] = Path("step_store"),
    out: Annotated[Path | None, typer.Option(help="File to write what was measured to, as JSON.")] = None,
    threads: Threads = 1,
) -> None:
    """Solve problems of your own under a router and by each model alone: accuracy and cost, with intervals."""
    from rich.console import Console

    from trim.config.experiment import Bootstrap
    from trim.deploy.evaluation import as_json, as_table, part_of, price_of, read_own
    from trim.deploy.evaluation import evaluate as run
    from trim.deploy.opening import open_deployed
    from trim.deploy.sources import find_deployed
    from trim.files import write_json
    from trim.models.store import StepStore

    with one_sentence():
        found = find_deployed(deployed, configfile or [], Path.cwd())
        if out is not None and out.is_dir():
            raise InputError(f"--out {out}: this is a folder; name a file")
        own, settings = read_own(problems, layout, limit), Bootstrap()
        name = model or next(iter(found.manifest.points))
        console = Console(markup=False)
        with open_deployed(found, StepStore(step_store, part_of(problems)), Path.cwd() / "logs", threads) as opened:
            with console.status(f"{len(own)} problems") as status:

                def report(done: int, total: int) -> None:
                    status.update(f"{done} of {total} solutions")

                measured = run(opened, name, own, replicates, settings, report)
        prices = price_of(found.manifest)
        console.print(as_table(measured, len(own), settings.level, prices))
        if out is not None:
            facts = {"problems": len(own), "replicates": replicates, "level": settings.level, "prices": prices}
            facts["part"] = part_of(problems)
            write_json(as_json(measured, manifest=found.manifest.content_hash, **facts), out)


def inspect(
    place: Annotated[Path, typer.Argument(help="Deployed router, fitted router, step store, results, or a file.")],
) -> None:
    """Say what a folder or file of ours is, and what it holds."""
    from rich.console import Console

    from trim.deploy.inspecting import inspect as run

    console = Console(markup=False)
    with one_sentence():
        for said in run(place):
            console.print(said, highlight=False)


def doctor(deployed: Place = None, configfile: Overlays = None) -> None:
    """Check installation, GPU, SLURM, disk, and the models and endpoints of a router; fails where one is at fault."""
    from rich.console import Console

    from trim.config.reading import read_experiment
    from trim.deploy import doctor as checks
    from trim.deploy.manifest import read_manifest

    root = Path.cwd()
    found = [*checks.installation(), *checks.machine(root)]
    try:
        if deployed is not None:
            found += checks.router(read_manifest(deployed))
        elif configfile or (root / "config.yaml").is_file():
            found += checks.experiment(read_experiment(root, configfile or []), root)
    except (TrimError, OSError) as error:
        found.append(checks.Finding("router" if deployed else "config", checks.State.FAULT, str(error)))
    Console(markup=False).print(checks.as_table(found))
    if any(finding.state is checks.State.FAULT for finding in found):
        raise typer.Exit(1)
