"""Names that no account can have."""

from mediastore.events.schemas import NOT_A_PERSON

RESERVED_NAMES = frozenset({NOT_A_PERSON, "anonymous", "nobody"})
"""In lower case: whatever their letters, people would take them for the server's own."""
