"""Groups that every account is in, because a face of the server shares records among all who use it."""

from mediastore.accounts import queries
from mediastore.accounts.credentials import Credentials
from mediastore.accounts.issuers import load_issuers
from mediastore.accounts.tokens import Claims, Tokens
from mediastore.clock import utc_now
from mediastore.database import Database


async def test_every_account_is_in_them_by_a_token_and_by_its_name_alike(database_url: str) -> None:
    database = Database(database_url, pool_size=2)
    tokens = Tokens("a secret of many characters, for tests alone", ttl_s=60, clock=utc_now)
    credentials = Credentials(
        database,
        tokens=tokens,
        issuers=load_issuers(None),
        cache_s=0,
        session_ttl_s=60,
        clock=utc_now,
        common_groups=("shared", "ice"),
    )
    try:
        async with database.transaction() as connection:
            await queries.insert_account(connection, name="rita", password_hash=None, role="editor", groups=["ice"])
            account = await queries.account_by_name(connection, "rita")
        assert account is not None
        token = tokens.issue(Claims(sub="rita", cv=account.credential_version, scopes=("read",), key=None))
        for identity in (await credentials.identify(token.access_token), await credentials.identity_of("rita")):
            assert identity.groups == ("ice", "shared")
            assert identity.stewards == ()
    finally:
        await database.close()
