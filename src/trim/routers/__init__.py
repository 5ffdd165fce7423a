"""Who decides: one file per router."""
