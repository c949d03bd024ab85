"""Errors a person can act on: where, what was found, what was wanted, what to do next."""


class ForegateError(Exception):
    """An error in four parts; `exit_code` is what the command line returns.

    >>> str(ConfigurationError("foregate.toml seed", found="'x'", wanted="a whole number", then="Edit the key."))
    "foregate.toml seed: found 'x', wanted a whole number. Edit the key."
    """

    exit_code = 2

    def __init__(self, where: str, *, found: str, wanted: str, then: str) -> None:
        super().__init__(f"{where}: found {found}, wanted {wanted}. {then}")
        self.where, self.found, self.wanted, self.then = where, found, wanted, then


class ConfigurationError(ForegateError):
    """A project file says something Foregate can not take."""


class FeatureError(ForegateError):
    """A feature's SQL can not be compiled to point in time."""


class DataError(ForegateError):
    """The data is not what its declaration says."""


class NotAllowedError(ForegateError):
    """A gate, a missing signature or the order of things forbids the step."""

    exit_code = 1


class ConflictError(NotAllowedError):
    """Somebody else moved a rollout or the pointer since it was last read."""


class OutsideError(ForegateError):
    """A system outside the process is down, locked or unreadable."""

    exit_code = 4


class LedgerBrokenError(ForegateError):
    """The ledger's chain of hashes does not hold: a row was changed, removed or reordered."""

    exit_code = 4
