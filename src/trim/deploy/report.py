"""What a calibration found, for people: a page beside the manifest."""

from __future__ import annotations

from collections.abc import Iterator

from trim.deploy.choosing import LABELS, Target
from trim.deploy.manifest import REPORT, Calibration, Deployed, Interval, Point
from trim.files import write_text
from trim.names import look_of

VERDICTS = {
    "holds": "It holds on the held-out problems: the whole interval keeps the bound.",
    "undecided": "Undecided: the held-out interval lies on both sides of the bound. More problems would tell.",
    "fails": "It fails on the held-out problems: the whole interval is beyond the bound. Do not rely on it.",
}


def write_report(deployed: Deployed) -> None:
    """Write the page."""
    write_text("\n".join(_lines(deployed)) + "\n", deployed.folder / REPORT)


def _lines(deployed: Deployed) -> Iterator[str]:
    manifest = deployed.manifest
    yield from ("# A deployed router", "")
    if manifest.review is None:
        yield "Nobody has reviewed it: `trim review`."
    else:
        state = "" if manifest.is_reviewed else ", but it has changed since"
        note = f": {manifest.review.note}" if manifest.review.note else ""
        yield f"Reviewed by {manifest.review.by} on {manifest.review.date}{state}{note}"
    for name, point in manifest.points.items():
        yield from ("", *_point(name, point))
    yield from ("", "## Models", "", "| role | model | content |", "| --- | --- | --- |")
    for role, content in manifest.contents.items():
        spec = getattr(manifest, role)
        named = getattr(spec, "name", None) or getattr(spec, "file", "")
        yield f"| {role} | `{named}` ({spec.kind}) | `{content[:16]}` |"
    yield from ("", "## Origin", "")
    for key in ("code", "config_hash", "seed"):
        yield f"- {key}: `{manifest.origin.get(key, 'unknown')}`"


def _point(name: str, point: Point) -> Iterator[str]:
    label = look_of(point.router, point.variant).label
    yield from (f"## `{name}`", "", f"{label} at {point.setting:.6g}.")
    found = point.calibration
    if found is None:
        yield "Chosen by hand: nothing is known of what it costs and reaches."
        return
    target = Target(found.measure, found.bound, found.cautious)
    caution = " by its interval" if found.cautious else " by its estimate"
    yield from (
        "",
        f"Asked for: {target.said()}. Chosen{caution} among {found.chosen_of} operating points on "
        f"{found.chosen_on.problems} problems ({found.chosen_on.dataset}, {found.chosen_on.split}), then checked on "
        f"{found.checked_on.problems} others ({found.checked_on.dataset}, {found.checked_on.split}).",
        "",
        f"**{VERDICTS[found.verdict]}**",
        "",
        *_table(found),
    )


def _table(found: Calibration) -> Iterator[str]:
    yield f"| with {found.level:.0%} intervals over problems | chosen on | checked on |"
    yield "| --- | --- | --- |"
    for name, label in LABELS.items():
        if name in found.checked_on.measures:
            dollars = name == "dollars_per_1k"
            cells = [shown(read.measures[name], dollars) for read in (found.chosen_on, found.checked_on)]
            yield f"| {label}{f' (`prices.{found.prices}`)' if dollars else ''} | {' | '.join(cells)} |"


def shown(number: Interval, dollars: bool = False) -> str:
    """Return an estimate with its interval: dollars, or a share in percent."""
    ends = (number.value, number.lo, number.hi)
    texts = ["–" if end is None else f"{end:.4g}" if dollars else f"{end:.1%}" for end in ends]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"
