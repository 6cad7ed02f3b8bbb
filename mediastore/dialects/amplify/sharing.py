"""Who reads and changes what is made through this API, which itself knows no rules about that.

By default every account does: the records carry a group in which every account is (`Credentials`), and in this API every account
acts as an owner of what that group may write, so that it may delete it, too. A setting leaves them to their owners instead.
"""

from msgspec import Struct, structs

from mediastore.accounts.schemas import Caller
from mediastore.settings import Settings

GROUP = "amplify"


class Sharing(Struct, frozen=True, kw_only=True):
    group: str | None

    @property
    def principals(self) -> list[str]:
        """Readers and writers of a new record."""
        return [] if self.group is None else [f"group:{self.group}"]

    def caller(self, caller: Caller) -> Caller:
        """As who somebody acts here."""
        if self.group is None or not caller.identity.known:
            return caller
        return structs.replace(caller, identity=structs.replace(caller.identity, stewards=(self.group,)))


def sharing_of(settings: Settings) -> Sharing:
    on = "amplify" in settings.dialects and not settings.amplify_owners_only
    return Sharing(group=GROUP if on else None)
