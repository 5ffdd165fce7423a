"""`trim inspect`: what a folder or file is, whoever left it: a deployed router, a policy, a step store, results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.table import Column, Table

from trim.deploy.manifest import MANIFEST, read_manifest
from trim.deploy.report import shown
from trim.errors import DamagedFile, InputError
from trim.files import read_json, read_origin

POLICY_FILES: Mapping[str, str] = {
    "thresholds.json": "trim-thr",
    "policy.json": "",
    "solved.npz": "trim-pomdp",
    "gains.json": "fitted-q",
}
"""What tells the folder of a fitted router, and which one it is; empty where the file says so itself."""
BASELINES_FILE = "policies.json"
"""What tells the folder of the query-level baselines."""


def inspect(place: Path) -> Iterator[str | Table]:
    """Yield what there is to say of a folder or file.

    Raises
    ------
    InputError
        If it is nothing of ours.
    """
    if (place / MANIFEST).is_file() or place.name == MANIFEST:
        yield from _deployed(place)
    elif found := next((name for name in POLICY_FILES if (place / name).is_file()), None):
        yield from _policy(place, POLICY_FILES[found])
    elif (place / BASELINES_FILE).is_file():
        yield from _baselines(place)
    elif place.is_dir() and any(place.glob("*/identity.json")):
        yield from _store(place)
    elif (place / "tables").is_dir() or (place / "models").is_dir():
        yield from _results(place)
    elif place.suffix == ".parquet" and place.is_file():
        yield from _table(place)
    elif place.suffix == ".json" and place.is_file():
        try:
            yield json.dumps(read_json(place), indent=1)
        except DamagedFile as error:
            raise InputError(f"{place}: no JSON of ours ({error.why}); name another file") from None
    elif place.suffix == ".csv" and place.is_file():
        yield from _csv(place)
    elif not place.exists():
        raise InputError(f"{place}: does not exist; check the path")
    else:
        raise InputError(
            f"{place}: no deployed router, fitted router, step store, results, table or JSON of ours; name one of these"
        )


def _deployed(place: Path) -> Iterator[str | Table]:
    deployed = read_manifest(place)
    manifest, faults = deployed.manifest, list(deployed.faults())
    reviewed = manifest.review
    yield f"deployed router in {deployed.folder}, code {manifest.origin.get('code', 'unknown')}"
    if reviewed is None or not manifest.is_reviewed:
        yield "not reviewed" if reviewed is None else f"changed since {reviewed.by} reviewed it on {reviewed.date}"
    else:
        yield f"reviewed by {reviewed.by} on {reviewed.date} {reviewed.note}".rstrip()
    table = Table(Column("model name", no_wrap=True), "router", "setting", "accuracy", "strong tokens", "verdict")
    for name, point in manifest.points.items():
        found = point.calibration
        read = [shown(found.checked_on.measures[key]) for key in ("accuracy", "strong_share")] if found else ["", ""]
        row = (name, f"{point.router}, {point.variant}", f"{point.setting:.6g}", *read)
        table.add_row(*row, found.verdict if found else "by hand")
    yield table
    for role, spec in deployed.models.items():
        known = manifest.contents.get(role, "unchecked: the manifest does not say what it is")
        yield f"{role}: {getattr(spec, 'name', None) or getattr(spec, 'file', '')} ({spec.kind}) {known}"
    yield from faults or ["models and policies are those that were calibrated"]


def _policy(place: Path, router: str) -> Iterator[str | Table]:
    from trim.config.routers import Routers
    from trim.routers.registry import step_router

    name = router or str(read_json(place / "policy.json", whole=place).get("router", ""))
    points = step_router(name, Routers()).load(place)
    yield f"{name}, {place.name}: {len(points)} operating points"
    yield ", ".join(f"{point.setting:g}" for point in points)


def _baselines(place: Path) -> Iterator[str | Table]:
    table = Table("router", "variant", "operating points", title=f"query-level baselines {place}")
    for policy in read_json(place / BASELINES_FILE, whole=place)["policies"]:
        table.add_row(policy["router"], policy["variant"], str(len(policy["thresholds"])))
    yield table


def _store(place: Path) -> Iterator[str | Table]:
    table = Table("model", "part", "segments", "entries", "MB", title=f"step store {place}")
    for described in sorted(place.glob("*/identity.json")):
        try:
            identity = json.loads(described.read_bytes())["identity"]
        except (ValueError, TypeError, KeyError):
            raise InputError(f"{described}: does not say which model this is; see `trim store check`") from None
        for part in sorted(path for path in described.parent.iterdir() if path.is_dir()):
            segments = sorted(part.glob("*.parquet"))
            entries = sum(_parquet(segment).num_rows for segment in segments)
            size = sum(segment.stat().st_size for segment in segments) / 1e6
            table.add_row(_short(identity), part.name, str(len(segments)), f"{entries:,}", f"{size:.2f}")
    yield table


def _short(identity: str) -> str:
    """Return what tells models apart at a glance: the model, its role and backend."""
    try:
        facts: Mapping[str, Any] = json.loads(identity)
    except ValueError:
        return identity[:60]
    return " ".join(str(facts[key])[:40] for key in ("model", "role", "backend") if key in facts)


def _results(place: Path) -> Iterator[str | Table]:
    origin = place / "tables" / "provenance.json"
    if origin.is_file():
        said = read_json(origin)
        yield ", ".join(f"{key} {said[key]}" for key in ("code", "config_hash", "seed", "python") if key in said)
    table = Table("stage", "files", "MB", title=f"results in {place}")
    for folder in sorted(path for path in place.iterdir() if path.is_dir()):
        files = [path for path in folder.rglob("*") if path.is_file()]
        table.add_row(folder.name, f"{len(files):,}", f"{sum(path.stat().st_size for path in files) / 1e6:.2f}")
    yield table


def _table(place: Path) -> Iterator[str | Table]:
    found = _parquet(place)
    yield f"{found.num_rows:,} rows: {', '.join(found.schema.to_arrow_schema().names)}"
    yield json.dumps(read_origin(place), indent=1)


def _parquet(place: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_metadata(place)
    except pa.ArrowException as error:
        raise InputError(f"{place}: no Parquet file, or not all of one ({error}); make it again") from None


def _csv(place: Path) -> Iterator[str]:
    import pandas as pd

    try:
        found = pd.read_csv(place)
    except ValueError as error:
        raise InputError(f"{place}: no CSV ({error}); name another file") from None
    yield f"{len(found):,} rows: {', '.join(map(str, found.columns))}"
