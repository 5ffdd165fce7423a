"""Collect what a step store holds of an experiment; no model is loaded for it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trim.archive.card import OWN, front_matter, origin_page
from trim.archive.parts import LEFT_BEHIND, Held, Manifest, import_archive, write_archive
from trim.checksums import SHORT_DIGEST, SUMS, short_digest, summed_names
from trim.config.datasets import FileDataset
from trim.config.experiment import Experiment
from trim.config.models import GivenPRM, NoisyPRM, ReadingPRM
from trim.config.reading import read_experiment
from trim.errors import ConfigError, InputError
from trim.jobs import origin_of
from trim.models.batching import BatchLoop
from trim.models.checking import ASIDE
from trim.models.entries import SCORES, STEPS, Codec
from trim.models.kept import FITS, PRMS, PROBLEMS, ROOMS, SOLUTIONS, Kept, check_kept, problem_facts
from trim.models.opening import open_pair, open_scorer, pair_reader, prm_wish
from trim.models.prm_kinds import prm_kinds
from trim.models.served.servers import Servers
from trim.models.store import Partition, StepStore
from trim.routers.kept_fits import fit_facts
from trim.routers.registry import fitted_routers

Files = dict[str, bytes]


def export_store(
    overlays: Sequence[Path], folder: Path, licences: Mapping[str, str], most_bytes: int, root: Path
) -> Manifest:
    """Write an archive of what the step store holds of an experiment; return its manifest.

    Parameters
    ----------
    overlays
        Config files laid over config.yaml.
    licences
        By key of the config ("pair.weak"), of models and datasets whose section does not say theirs.
    most_bytes
        What the files may have together.
    root
        Folder of the checkout, in which the experiment has run.

    Raises
    ------
    ConfigError
        If a licence is unknown.
    InputError
        If something of the experiment is not in the store, or there is too much.
    """
    experiment = read_experiment(root, overlays)
    known = licences_of(experiment, licences)
    held, files = _steps_and_scores(experiment, root)
    for name, content in (*_kept(experiment, root), *_other_rooms(root / experiment.step_store)):
        files[name] = content
    check_size(folder, experiment, files, most_bytes)
    given = [f"--configfile={path}" for path in overlays] + [f"--licence={k}={v}" for k, v in licences.items()]
    manifest = Manifest(
        experiment=experiment.experiment,
        made_by=shlex.join(["trim", "store", "export", f"data/replay/{experiment.experiment}", *given]),
        provenance=origin_of(experiment),
        config=experiment.decisive,
        licences=known,
        held=tuple(held),
    )
    return write_archive(manifest, files, _readme(manifest, overlays), folder)


def check_size(folder: Path, experiment: Experiment, files: Files, most_bytes: int) -> None:
    """Refuse an archive that is too large.

    Raises
    ------
    InputError
        Says how large it would be.
    """
    size = sum(map(len, files.values()))
    if size > most_bytes:
        raise InputError(
            f"{folder}: {experiment.experiment} would take {size / 1e6:.1f} MB, more than {most_bytes / 1e6:g}; allow "
            "more with --most, or export a smaller experiment"
        )


def licences_of(experiment: Experiment, given: Mapping[str, str]) -> dict[str, str]:
    """Return the licence of every model and dataset, by its key in the config.

    Raises
    ------
    ConfigError
        Names what has no licence, or what was named and is not there.
    """
    sections: dict[str, Any] = {"pair.weak": experiment.pair.weak, "pair.strong": experiment.pair.strong}
    sections |= {f"prms.{name}": experiment.prms[name] for name in experiment.used_prms}
    sections |= {f"datasets.{name}": section for name, section in experiment.datasets.items()}
    if strangers := sorted(set(given) - set(sections)):
        raise ConfigError(f"--licence names {strangers[0]!r}; there are {', '.join(sections)}")
    known = {key: given.get(key) or _own_licence(key, section) for key, section in sections.items()}
    if unknown := [key for key, licence in known.items() if not licence]:
        raise ConfigError(
            f"no licence is known of {', '.join(unknown)}; say each, as in --licence {unknown[0]}=Apache-2.0"
        )
    return known


def _own_licence(key: str, section: Any) -> str:
    """Return what a section says of its licence; what this pipeline trains or generates is our own."""
    said = getattr(section, "licence", "unknown")
    made_here = key.startswith("prms.") and not isinstance(section, GivenPRM)
    made_here |= getattr(section, "kind", None) == "trained" or getattr(section, "source", None) == "arithmetic"
    return OWN if made_here else "" if said == "unknown" else str(said)


# --- steps and scores -------------------------------------------------------------------


def identities(experiment: Experiment, root: Path) -> Iterator[tuple[str, str, Codec[Any]]]:
    """Yield key in the config, identity and kind of entries of each model that the experiment asks."""
    pair, folders = experiment.pair, root / experiment.results / "models"
    store, loop = StepStore(root / experiment.step_store, "", offline=True), BatchLoop()
    with closing(Servers(experiment.serving, root / experiment.results / "logs" / "export")) as servers:
        roles: tuple[Any, ...] = ("weak", "strong")
        trained = {role: _trained(folders / role) for role in roles if getattr(pair, role).kind == "trained"}
        models = open_pair(
            pair.weak, pair.strong, trained, experiment.sampling, store, pair.batch_size, pair.device, None, servers
        )
        yield "pair.weak", models.weak.identity, STEPS
        yield "pair.strong", models.strong.identity, STEPS
        for name in dict.fromkeys(experiment.used_prms):
            if not isinstance(spec := experiment.prms[name], NoisyPRM):
                prm = spec if isinstance(spec, GivenPRM) else _trained(folders / f"prm-{name}")
                reader = None
                if wish := prm_wish(spec if isinstance(spec, ReadingPRM) else None):
                    backbone = getattr(pair, wish.backbone), trained.get(wish.backbone)
                    reader = pair_reader(*backbone, wish, store, pair.batch_size)
                scorer = open_scorer(prm, store, pair.batch_size, loop, pair.device, servers, reader)
                yield f"prms.{name}", scorer.identity, SCORES


def _trained(folder: Path) -> Path:
    if not folder.is_dir():
        raise InputError(f"{folder}: not there; run the experiment before its store is exported")
    return folder


def _steps_and_scores(experiment: Experiment, root: Path) -> tuple[list[Held], Files]:
    """Join each partition of the experiment's models on its datasets into one segment."""
    held: list[Held] = []
    files: Files = {}
    store = StepStore(root / experiment.step_store, "", offline=True)
    with TemporaryDirectory() as aside:
        for model, identity, codec in identities(experiment, root):
            folder, kind = store.folder(identity), "steps" if codec is STEPS else "scores"
            parts = [part for part in sorted(folder.glob("*.*")) if part.name.split(".")[0] in experiment.datasets]
            if not parts:
                raise InputError(f"{folder}: holds no {kind} of {model}; run the experiment before it is exported")
            for part in parts:
                partition, segment = Partition(part, codec, identity), Path(aside) / "segment.parquet"
                if len(partition):
                    partition.write_whole(segment)
                    content = segment.read_bytes()
                    # Sorts before all that is written by jobs: a replay has these steps, whatever else is there.
                    name = f"00000000-{short_digest(content)}.parquet"
                    files[f"{folder.name}/{part.name}/{name}"] = content
                    held.append(Held(model=model, identity=identity, kind=kind, part=part.name, entries=len(partition)))
            files[f"{folder.name}/identity.json"] = (folder / "identity.json").read_bytes()
    return held, files


# --- what is kept beside them -----------------------------------------------------------


def _kept(experiment: Experiment, root: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files of kept PRMs, problems, labelled solutions and fitted routers of the experiment."""
    store = root / experiment.step_store
    kept, kinds = Kept(store), prm_kinds()
    for name in dict.fromkeys(experiment.used_prms):
        if (kind := kinds.get(experiment.prms[name].kind)) and kind.kept:
            yield from _files_of(_place_of_prm(store, root / experiment.results / "models" / f"prm-{name}"), store)
    for name, dataset in experiment.datasets.items():
        if isinstance(dataset, FileDataset):
            facts = problem_facts(name, dataset.model_dump(mode="json"), experiment.seed)
            for room in (PROBLEMS, *([SOLUTIONS] if dataset.layout == "processbench" else [])):
                yield from _files_of(kept.place(room, facts), store)
    for facts in _fits(experiment, root / experiment.results) if experiment.routers.tree_budget else ():
        yield from _files_of(kept.place(FITS, facts), store)


def _fits(experiment: Experiment, results: Path) -> Iterator[dict[str, Any]]:
    """Yield what decides each fit of the experiment."""
    settings, asked = experiment.routers.model_dump(mode="json"), experiment.routers
    for router in fitted_routers(asked).values():
        for source in asked.trained_on if router.seeded else ():
            tables = [results / f"trees/{source}.{split}.parquet" for split in ("router_train", "dev")]
            if router.needs_labels and not experiment.labelled(source) and asked.pomdp.observed_on:
                tables.append(results / f"scores/{experiment.pair.prm}/{asked.pomdp.observed_on}.router_train.parquet")
            for variant, run in router.runs(asked, source, experiment.main_dataset):
                yield fit_facts(
                    router, router.decisive(settings, variant), (source, variant, run), experiment.seed, tables
                )


def _place_of_prm(store: Path, trained: Path) -> Path:
    """Return where the store keeps a PRM that lies under results: the folder whose files are all there too."""
    lines = set((_trained(trained) / SUMS).read_text(encoding="utf-8").splitlines())
    for place in sorted((store / PRMS).glob("*")):
        own = (place / SUMS).read_text(encoding="utf-8").splitlines() if (place / SUMS).is_file() else ["?"]
        if {line for line in own if not line.endswith("  identity.json")} <= lines:
            return place
    raise InputError(f"{trained}: the step store keeps no copy of it; remove it and run the experiment again")


def _files_of(place: Path, store: Path) -> Iterator[tuple[str, bytes]]:
    if not place.is_dir():
        raise InputError(
            f"{place}: not there, but the experiment needs what is kept under this name; run it again from its "
            "sources (snakemake --forcerun prepare_dataset)"
        )
    check_kept(place)
    for name in (SUMS, *summed_names(place)):
        yield (place / name).relative_to(store).as_posix(), (place / name).read_bytes()


def _other_rooms(store: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files of every further room of a store: what another part of the library keeps there.

    Checkpoints stay: an archive is read without models, and they may be another experiment's.
    """
    known = {*ROOMS, *LEFT_BEHIND}
    for room in sorted(store.iterdir()):
        if room.is_dir() and room.name not in known and not SHORT_DIGEST.fullmatch(room.name):
            for path in sorted(room.rglob("*")):
                if path.is_file() and path.suffix not in (".tmp", ASIDE):
                    yield path.relative_to(store).as_posix(), path.read_bytes()


# --- and what is said of it -------------------------------------------------------------


def verify_archive(folder: Path) -> Manifest:
    """Check an archive down to the last step: import it into a folder of its own, and read all of it.

    Raises
    ------
    InputError, StoreError
        Names what is damaged, or what the manifest promises and the parts do not hold.
    """
    with TemporaryDirectory() as aside:
        store = StepStore(Path(aside), "", offline=True)
        manifest, _ = import_archive(folder, store.root)
        for held in manifest.held:
            codec: Codec[Any] = STEPS if held.kind == "steps" else SCORES
            found = len(Partition(store.folder(held.identity) / held.part, codec, held.identity))
            if found != held.entries:
                raise InputError(
                    f"{folder}: holds {found} {held.kind} of {held.model} on {held.part}, not {held.entries} as its "
                    "manifest says; export it again"
                )
        for room in ROOMS:
            for place in (store.root / room).glob("*"):
                check_kept(place)
    return manifest


def _readme(manifest: Manifest, overlays: Sequence[Path]) -> str:
    rows = "\n".join(f"| {h.model} | {h.kind} | {h.part} | {h.entries:,} |" for h in manifest.held)
    title = f"Archive of the experiment {manifest.experiment}"
    config, place = " ".join(["", "--configfile", *map(str, overlays)]), f"data/replay/{manifest.experiment}"
    return f"""{front_matter(manifest, title)}
# {title}

Every step and score that the experiment needs, with its problems and the PRMs that were trained for it: a tar, cut into
parts. With it the experiment runs without any model and without the benchmark files; docs/replay.md says more.

```bash
trim store verify {place}
trim run --replay {place}{config if overlays else ""}
```

| model | | dataset and split | entries |
| --- | --- | --- | --- |
{rows}

{origin_page(manifest)}"""
