"""Errors that a user can fix: one sentence that says what, where and how."""


class TrimError(Exception):
    """Base of the errors that are reported without a traceback."""


class ConfigError(TrimError):
    """The configuration is wrong."""


class InputError(TrimError):
    """A file or dataset that the experiment reads is wrong."""


class BackendError(TrimError):
    """A model, scorer or server gave an answer that cannot be used."""


class StoreError(TrimError):
    """The step store is damaged, or lacks a step in offline mode."""
