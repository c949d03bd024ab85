"""The refusals of tiers, matrix and list, one class per kind of cause: where, found, wanted, what to do next."""

from foregate.core.errors import ForegateError


class RefusalError(ForegateError):
    """A refusal of something the project declares; each module derives one class per kind of cause.

    >>> str(RefusalError("tiers.toml, tier A, key quota", found="-1", wanted="0 or more", then="Edit the key."))
    'tiers.toml, tier A, key quota: found -1, wanted 0 or more. Edit the key.'
    """


class ServingChangedError(RefusalError):
    """People to score who do not look like the leads the version was trained on, or a source that stopped arriving."""

    exit_code = 1


class ListRefusalError(RefusalError):
    """A refusal to build a list that would not be what was promised."""

    exit_code = 1
