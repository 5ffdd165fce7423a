"""What a deployed router is: a manifest that names models, PRM, policies and operating points; docs/deploy.md."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from trim.checksums import sealed_bytes
from trim.config.experiment import config_hash
from trim.config.models import (
    ApiModel,
    GgufModel,
    GivenPRM,
    LanguageModel,
    PretrainedModel,
    Sampling,
    ServedModel,
    ServedPRM,
)
from trim.config.prices import PriceVector, default_prices
from trim.config.routers import Routers
from trim.config.section import Count, FilePath, Section
from trim.config.serving import Serving
from trim.errors import ConfigError, DamagedFile, InputError
from trim.files import CHECKSUM, write_json
from trim.models.fingerprint import fingerprint_model
from trim.models.identities import identify_weights
from trim.routers.kept_fits import LOGS

MANIFEST = "router.json"
REPORT = "report.md"

Measure = Literal["strong_share", "accuracy_share", "dollars_per_1k"]


class FolderPRM(Section):
    """A PRM that the workflow trained, in its folder."""

    kind: Literal["folder"] = "folder"
    name: FilePath = Field(description="the folder")


DeployedPRM = Annotated[FolderPRM | GivenPRM, Field(discriminator="kind")]


class Interval(Section):
    """An estimate with its interval; an end is null where it has none."""

    value: float | None
    lo: float | None = None
    hi: float | None = None


class Read(Section):
    """What an operating point does on one split."""

    dataset: str
    split: str
    problems: Count
    sha256: str = Field(description="of the file of its problems")
    measures: dict[str, Interval]


class Calibration(Section):
    """How an operating point was chosen, and whether it holds."""

    measure: Measure = Field(description="what was asked for")
    bound: float = Field(description="the most of it, or the least where it is accuracy")
    cautious: bool = Field(False, description="whether the interval had to keep the bound, not the estimate alone")
    prices: str | None = Field(None, description="entry of `prices` that dollars are counted by")
    level: float = Field(description="confidence level of all intervals")
    chosen_of: Count = Field(description="operating points that were compared")
    chosen_on: Read
    checked_on: Read
    verdict: Literal["holds", "undecided", "fails"] = Field(description="of the bound, on the held-out problems")


class Point(Section):
    """A router at one operating point: what a model name stands for."""

    router: str
    variant: str = "default"
    run: int = Field(0, ge=0, description="training run")
    setting: float = Field(description="threshold, probability or kappa")
    policy: FilePath | None = Field(None, description="folder of what was fitted; null where nothing is")
    policy_sha256: str | None = None
    calibration: Calibration | None = None


class Review(Section):
    """Who looked at a manifest, and at which."""

    by: str = Field(min_length=1)
    date: str
    note: str = ""
    content: str = Field(description="`content_hash` of the manifest that was looked at")


class Manifest(Section):
    """Everything that decides what a deployed router answers, and where it comes from."""

    format: Literal[1] = 1
    weak: LanguageModel
    strong: LanguageModel
    prm: DeployedPRM | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    batch_size: Count = 64
    cache_mb: Count = 1024
    sampling: Sampling = Field(default_factory=Sampling)
    max_steps: Count = 30
    long_steps: Literal["end", "cut"] = "end"
    serving: Serving = Field(default_factory=Serving)
    routers: Routers = Field(default_factory=Routers)
    prices: dict[str, PriceVector] = Field(default_factory=default_prices)
    points: dict[str, Point] = Field(description="operating points by model name; the first is the default")
    contents: dict[str, str] = Field(default_factory=dict, description="what each model is, by role")
    origin: dict[str, Any] = Field(default_factory=dict, description="config hash, code, seed and packages")
    review: Review | None = None

    @property
    def content_hash(self) -> str:
        """What a review is of: all but the review itself."""
        return config_hash(self.model_dump(mode="json", exclude={"review"}))

    @property
    def is_reviewed(self) -> bool:
        """Whether somebody looked at it as it is now."""
        return self.review is not None and self.review.content == self.content_hash


@dataclass(frozen=True, slots=True)
class Deployed:
    """A manifest, and the folder that its paths start from."""

    manifest: Manifest
    folder: Path

    def placed(self, spec: Any) -> Any:
        """Return a model's section with the paths in it as this process finds them."""
        here = {key: str(self.folder / text) for key, text in paths_of(spec).items() if text.startswith(".")}
        return spec.model_copy(update=here)

    @property
    def models(self) -> dict[str, Any]:
        """Sections of the models by role, paths as this process finds them; the PRM only if there is one."""
        found = {"weak": self.manifest.weak, "strong": self.manifest.strong, "prm": self.manifest.prm}
        return {role: self.placed(spec) for role, spec in found.items() if spec is not None}

    def policy(self, point: Point) -> Path | None:
        """Return the folder of what was fitted."""
        return self.folder / point.policy if point.policy else None

    def faults(self) -> Iterator[str]:
        """Yield a sentence for each model or policy that is missing, or another one than the manifest says."""
        for role, spec in self.models.items():
            name = str(getattr(spec, "name", None) or getattr(spec, "file", ""))
            if name.startswith(("/", ".")) and not Path(name).exists():
                yield f"{role}: {name} does not exist"
            elif (known := self.manifest.contents.get(role)) and content_of(spec) != known:
                yield f"{role}: {name} is another model than the one this router was calibrated with"
        for name, point in self.manifest.points.items():
            folder = self.policy(point)
            if folder is not None and not folder.is_dir():
                yield f"points.{name}.policy: {folder} does not exist"
            elif folder is not None and point.policy_sha256 and folder_sha256(folder) != point.policy_sha256:
                yield f"points.{name}.policy: {folder} is not what was calibrated"

    def check(self) -> None:
        """Refuse to go on with anything else than what was calibrated.

        Raises
        ------
        InputError
            Names the first fault.
        """
        for fault in self.faults():
            raise InputError(f"{self.folder}: {fault}; bring it back, or calibrate again (`trim calibrate`)")


def paths_of(spec: Any) -> dict[str, str]:
    """Return what may be a path in a model's section; a served model's name is also what its server calls it."""
    keys = ("golden",) if isinstance(spec, ServedModel | ServedPRM | ApiModel) else ("name", "file")
    return {key: text for key in keys if (text := getattr(spec, key, None))}


def content_of(spec: Any) -> str:
    """Say what a model is, wherever it lies: by its weights where they are here."""
    if isinstance(spec, PretrainedModel | GgufModel):
        return identify_weights(spec)
    if isinstance(spec, ServedModel | GivenPRM):
        return fingerprint_model(spec.name, spec.revision)
    if isinstance(spec, FolderPRM):
        return fingerprint_model(spec.name, None)
    if isinstance(spec, ApiModel):
        return f"api:{spec.name}"
    assert isinstance(spec, BaseModel)
    return f"{getattr(spec, 'kind', '')}:{config_hash(spec)}"


def folder_sha256(folder: Path) -> str:
    """Return the digest of all files of a folder, but for the logs of training."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if not name.startswith(LOGS):
            digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def relative(path: str | Path, folder: Path) -> str:
    """Return a path as a manifest in a folder writes it: from there, with a dot before it."""
    text = os.path.relpath(Path(path).absolute(), folder.absolute())
    return text if text.startswith(".") else f"./{text}"


def write_manifest(deployed: Deployed) -> None:
    """Write the manifest into its folder."""
    write_json(deployed.manifest.model_dump(mode="json"), deployed.folder / MANIFEST)


def read_manifest(place: Path) -> Deployed:
    """Read a deployed router from its folder, or from a manifest of any name; one written by hand has no checksum.

    Raises
    ------
    InputError
        If there is none.
    ConfigError
        Names the keys that are unknown, missing or wrong.
    """
    path = place / MANIFEST if place.is_dir() else place
    if not path.is_file():
        raise InputError(f"{path}: no deployed router here; `trim calibrate` makes one, docs/deploy.md says what it is")
    try:
        content: Mapping[str, Any] = json.loads(sealed_bytes(path, required=False))
        if not isinstance(content, dict):
            raise ValueError("it is no JSON object")
    except DamagedFile as error:
        raise InputError(f"{path}: {error.why}; it was changed after it was written: calibrate again") from None
    except ValueError as error:
        raise InputError(f"{path}: not a manifest ({error}); calibrate again") from None
    try:
        manifest = Manifest.model_validate({key: value for key, value in content.items() if key != CHECKSUM})
    except ValidationError as error:
        raise ConfigError(f"{path}: {'; '.join(_fault(one) for one in error.errors())}") from None
    if not manifest.points:
        raise ConfigError(f"{path}: key 'points' names no operating point")
    return Deployed(manifest, path.parent.absolute())


def _fault(error: Any) -> str:
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"unknown key {key!r}; remove it"
    return f"key {key!r} is missing" if error["type"] == "missing" else f"{key}: {error['msg']}"
