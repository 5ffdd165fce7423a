"""Overlays under `config/`, with what they leave for their user to say made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from snakemake.utils import update_config

CONFIGS = Path(__file__).parents[1] / "config"
OVERLAYS = sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.glob("*.yaml") if path.name != "config.yaml")
TARGET = "targets/qwen3_8b.yaml"
STACKS = [(name,) for name in OVERLAYS] + [("qwen_math.yaml", TARGET), ("qwen_aime.yaml", TARGET)]

PRICE = {"input_per_million": 1, "output_per_million": 2, "max_cost": 3, "max_tokens": 4}


def overlay(*names: str) -> dict[str, Any]:
    """Content of configs laid over each other, with nothing made up."""
    content: dict[str, Any] = {}
    for name in names:
        update_config(content, yaml.safe_load((CONFIGS / name).read_text(encoding="utf-8")))
    return content


def completed(*names: str) -> dict[str, Any]:
    """Content of configs laid over each other, with a revision for every hub dataset, and an API."""
    content = overlay(*names)
    for dataset in content.get("datasets", {}).values():
        if dataset and dataset.get("source") == "hub":
            dataset["revision"] = "0" * 40
    if content.get("pair", {}).get("strong", {}).get("kind") == "api":
        content["pair"]["strong"]["name"] = "some-model"
        content["serving"]["endpoints"]["strong"] |= {"url": "https://api.example", "price": PRICE}
    return content
