import pytest
from smoke import smoke_copy, smoke_run

pytest.register_assert_rewrite("run_rule", "rule_outputs")

__all__ = ["smoke_copy", "smoke_run"]
