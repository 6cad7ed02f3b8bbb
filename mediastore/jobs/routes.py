"""Jobs over HTTP."""

from typing import Annotated

from litestar import Controller, delete, get, post
from litestar.params import PathParameter, QueryParameter
from litestar.status_codes import HTTP_200_OK

from mediastore.accounts.schemas import Caller
from mediastore.http.cursors import Cursor, Limit, opaque, position
from mediastore.http.problems import problems
from mediastore.http.provided import Provided
from mediastore.jobs.schemas import JobPage, JobShown, JobStatus
from mediastore.jobs.service import NEWEST, Backlog

Id = Annotated[int, PathParameter(description="The job's `id`", ge=1, le=NEWEST)]
Status = Annotated[JobStatus | None, QueryParameter(description="Only jobs that wait, run, or are held after too many failures")]
Kind = Annotated[str | None, QueryParameter(description="Only jobs of this kind", max_length=63)]


class JobController(Controller):
    path = "/jobs"
    tags = ("Operations",)

    @get(responses=problems(401, 403, 422), summary="List jobs that are not done, newest first")
    async def list_jobs(
        self,
        caller: Provided[Caller],
        backlog: Provided[Backlog],
        status: Status = None,
        job: Kind = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> JobPage:
        items, more, counts = await backlog.page(status=status, job=job, cursor=position(cursor), limit=limit, caller=caller)
        return JobPage(items=items, next=opaque(more), counts=counts)

    @post(
        "/{id:int}/retry",
        status_code=HTTP_200_OK,
        responses=problems(401, 403, 404, 409, 422),
        summary="Have a held or waiting job done now",
    )
    async def retry(self, id: Id, caller: Provided[Caller], backlog: Provided[Backlog]) -> JobShown:
        return await backlog.retry(id, caller=caller)

    @delete("/{id:int}", responses=problems(401, 403, 404, 409, 422), summary="Drop a held or waiting job: it is not done")
    async def drop(self, id: Id, caller: Provided[Caller], backlog: Provided[Backlog]) -> None:
        await backlog.drop(id, caller=caller)
