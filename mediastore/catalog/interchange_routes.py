"""Import and export over HTTP: a line a record, both ways, of any length."""

import asyncio
from time import monotonic
from typing import Annotated, Any, TypeAlias

import msgspec
from litestar import Controller, Request, delete, get, patch, post
from litestar.params import QueryParameter
from litestar.response import Response
from litestar.status_codes import HTTP_200_OK

from mediastore.accounts.schemas import Caller
from mediastore.catalog.exports import Exports
from mediastore.catalog.imports import Import, Imports
from mediastore.catalog.intake import Failure, Options
from mediastore.catalog.interchange_schemas import Existing, ExportRequest, ImportReport
from mediastore.catalog.routes import Describe, MediaController
from mediastore.catalog.schemas import Media, MediaChange
from mediastore.errors import MediastoreError
from mediastore.http.bodies import OPTIONAL, accepts
from mediastore.http.ndjson import NDJSON, lines_of
from mediastore.http.problems import problems
from mediastore.http.provided import Provided
from mediastore.http.streams import Handed, Reporting, Spool, Streamed, ended

AnyRequest: TypeAlias = Request[Any, Any, Any]

PROMPT_S = 1
"""An import that ends or fails within this time gets an answer like any other call; later ones are told of while they run."""


class LineLimits(msgspec.Struct, frozen=True, kw_only=True):
    longest: int
    idle_timeout_s: float


class InterchangeController(Controller):
    path = "/media"
    tags = ("Records",)

    @post(
        "/import",
        status_code=HTTP_200_OK,
        media_type=NDJSON,
        request_max_body_size=None,
        opt={OPTIONAL: True},
        responses=problems(400, 401, 403, 408, 422, 503),
        summary="Import records from lines of JSON, of any number",
        description="A record a line, as a creation says it or as an export wrote it; thousands are made in one transaction. The "
        "answer has a line for each record that was not taken, tells how far it is, and ends in `done` or `stopped`. Sent again, "
        "the same lines make nothing twice.",
    )
    async def import_records(
        self,
        request: AnyRequest,
        caller: Provided[Caller],
        imports: Provided[Imports],
        line_limits: Provided[LineLimits],
        describe: Provided[Describe],
        existing: Annotated[
            Existing,
            QueryParameter(
                description="A PID that is there: an error unless it says the same; or skipped; or updated to what the line says"
            ),
        ] = "error",
        store: Annotated[str | None, QueryParameter(description="Where all of them go, whatever the lines say")] = None,
        import_id: Annotated[
            str | None,
            QueryParameter(max_length=200, description="Lines without a PID get one that follows from this and their number"),
        ] = None,
        first_line: Annotated[
            int, QueryParameter(ge=1, le=10**15, description="Number of the first line, of a part of a file")
        ] = 1,
    ) -> Response[ImportReport]:
        run = imports.begin(options=Options(existing=existing, store=store, import_id=import_id), caller=caller)
        spool = Spool()
        pieces = lines_of(
            request.receive, longest=line_limits.longest, first=first_line, idle_timeout_s=line_limits.idle_timeout_s
        )
        task = asyncio.create_task(report(run, pieces, spool, describe))
        try:
            await asyncio.wait({task}, timeout=PROMPT_S)
        except BaseException:
            await ended(task)
            raise
        if task.done() and (error := task.exception()) is not None:
            spool.close()
            raise error
        return Handed(Reporting(task, spool, media_type=NDJSON))

    @post(
        "/export",
        status_code=HTTP_200_OK,
        media_type=NDJSON,
        **accepts(ExportRequest, optional=True),
        responses=problems(401, 404, 422, 503),
        summary="Export the records that you may read as lines of JSON",
        description="All of them, or those that a search with these filters finds; in the order in which they were made, each as "
        "`GET /media/{pid}` shows it. Cut short, it goes on `after` the PID of the last whole line.",
    )
    async def export_records(
        self, asked: Provided[ExportRequest], caller: Provided[Caller], exports: Provided[Exports]
    ) -> Response[Media]:
        return Handed(Streamed(await exports.begin(asked, caller=caller), media_type=NDJSON))

    # Words of the API for POST, and PIDs like any other for the other methods.
    read_word = get(["/import", "/export"], include_in_schema=False)(MediaController.read.fn)
    change_word = patch(["/import", "/export"], include_in_schema=False, **accepts(MediaChange))(MediaController.change.fn)
    remove_word = delete(["/import", "/export"], include_in_schema=False)(MediaController.remove.fn)


async def report(run: Import, pieces: Any, spool: Spool, describe: Describe) -> None:
    """Write what comes of an import. An error before anything was taken is an error of the call."""
    told_at = monotonic()
    try:
        async for failures in run.run(pieces):
            for failure in failures:
                spool.write(msgspec.json.encode(failed(failure, describe)))
            if monotonic() - told_at > PROMPT_S:
                told_at = monotonic()
                spool.write(msgspec.json.encode(ImportReport(progress=run.counts)))
        spool.write(msgspec.json.encode(ImportReport(done=run.counts)))
    except MediastoreError as error:
        if run.counts.lines == 0 and not spool.sending:
            raise
        _, problem = describe(error)
        spool.write(msgspec.json.encode(ImportReport(stopped=run.counts, problem=problem)))


def failed(failure: Failure, describe: Describe) -> ImportReport:
    status, problem = describe(failure.error)
    return ImportReport(line=failure.line, pid=failure.pid, status=status, problem=problem)
