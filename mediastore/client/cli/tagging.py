"""`mediastore tag`: tags of many records at once."""

from typing import Annotated

import typer

from mediastore.catalog.schemas import BatchUpdate
from mediastore.client.async_client import AsyncClient
from mediastore.client.cli.options import PATIENCE_S, Json, Patience, Pids, Profile, Url, lines_for, with_client
from mediastore.client.cli.outcomes import Outcome, Tally, failure
from mediastore.client.cli.screen import say
from mediastore.client.cli.told import told, unfit
from mediastore.client.errors import refused


def tag(
    pid: Pids,
    add: Annotated[list[str] | None, typer.Option(metavar="TAG", help="may be given several times")] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="TAG", help="may be given several times")] = None,
    patience: Patience = PATIENCE_S,
    url: Url = None,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Add tags to records, and take some away. Doing it twice changes nothing."""
    if not add and not remove:
        raise unfit("say what to --add or to --remove", option="--add")
    with told():
        pids = lines_for(pid)
        items = [BatchUpdate(pid=each, add_tags=add or [], remove_tags=remove or []) for each in pids]
        tally = Tally(
            json=json,
            words=lambda outcome: say(f"{outcome.pid}  {', '.join(outcome.media.tags if outcome.media else ()) or 'no tags'}"),
        )

        async def work(client: AsyncClient) -> None:
            asked = iter(pids)
            async for result in client.batch(items):
                named = Outcome(outcome="tagged", pid=next(asked), media=result.media)
                if result.problem is not None:
                    named = failure(named, refused(result.status, result.problem))
                tally.tell(named)

        with_client(work, url=url, profile=profile, patience=patience)
        tally.finish()


COMMANDS = {"tag": tag}
