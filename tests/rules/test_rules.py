"""Every rule is tested alone and on one core: what it leaves is what the whole run on four cores left."""

import re
from pathlib import Path

from smoke import ROOT


def test_every_rule_is_tested() -> None:
    files = (ROOT / "workflow/rules").glob("*.smk")
    rules = {name for path in files for name in re.findall(r"^rule (\w+):", path.read_text(encoding="utf-8"), re.M)}
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert {rule for rule in rules if f'"{rule}"' not in tests} == set()
