"""The archive of an experiment: what its step store holds of it, in files small enough for a git repository."""
