from smoke import smoke_copy, smoke_run

__all__ = ["smoke_copy", "smoke_run"]
