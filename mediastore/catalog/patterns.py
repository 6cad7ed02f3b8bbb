"""Patterns of identifier types, in RE2: time linear in the text, whatever the pattern."""

import re2

from mediastore.catalog.errors import IdentifierTypeInvalid

LARGEST_PROGRAM = 1 << 20
"""Bytes that a compiled pattern may take; `(a{1000}){1000}` and its like are refused."""


class Pattern:
    """A compiled pattern. Raises `IdentifierTypeInvalid` for what is none."""

    def __init__(self, text: str) -> None:
        options = re2.Options()
        options.max_mem = LARGEST_PROGRAM
        options.log_errors = False
        try:
            self._compiled = re2.compile(text, options=options)
        except re2.error as error:
            why = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
            raise IdentifierTypeInvalid(f"the pattern {text!r} is not valid RE2: {why}", pattern=text) from error
        self.text = text

    def matches(self, value: str) -> bool:
        """Whether the whole value is matched."""
        return self._compiled.fullmatch(value) is not None
