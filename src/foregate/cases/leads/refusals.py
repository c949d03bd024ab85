"""The shape of every refusal in this room: where, what was found, what was wanted, what to do next."""


class RefusalError(ValueError):
    """A refusal in four parts; each module derives one class per kind of cause.

    >>> str(RefusalError("tiers.toml, tier A, key quota", found="-1", wanted="0 or more", then="Edit the key."))
    'tiers.toml, tier A, key quota: found -1, wanted 0 or more. Edit the key.'
    """

    def __init__(self, where: str, *, found: str, wanted: str, then: str) -> None:
        super().__init__(f"{where}: found {found}, wanted {wanted}. {then}")
        self.where, self.found, self.wanted, self.then = where, found, wanted, then
