"""The web console: pages at the root, over the same services and their laws."""

from typing import Any

from litestar import Router
from litestar.di import Provide
from litestar.response import Response
from litestar.static_files import create_static_files_router

from mediastore.web.audit_routes import audit
from mediastore.web.charts import CHARTS, CHARTS_PATH
from mediastore.web.find_routes import find
from mediastore.web.identifier_types_routes import identifier_types_page
from mediastore.web.jobs_routes import jobs
from mediastore.web.keys_routes import keys
from mediastore.web.login_routes import log_in, log_out, login_page, token_for_scripts
from mediastore.web.metadata_fields_routes import metadata_fields_page
from mediastore.web.pages import ASSETS, ASSETS_PATH, SAFE, Pages
from mediastore.web.people_routes import people
from mediastore.web.record_routes import record
from mediastore.web.refusals import PageRefusals
from mediastore.web.s3_config_routes import s3_configs_page
from mediastore.web.session import AnyRequest, provide_visitor
from mediastore.web.store_routes import store_page, stores_page, sweep_page
from mediastore.web.upload_routes import upload


async def any_query(_: AnyRequest) -> None:
    """A page takes whatever stands behind its address: links pick things up on their way."""


async def safely(answer: Response[Any]) -> Response[Any]:
    """What pages load is asked for anew each time, and taken for nothing but what it is."""
    answer.headers.update({**SAFE, "Cache-Control": "no-cache"})
    return answer


def console(pages: Pages, refusals: PageRefusals) -> list[Router]:
    """The pages, and what they load."""
    return [
        Router(
            "/",
            route_handlers=[
                find,
                login_page,
                log_in,
                log_out,
                token_for_scripts,
                record,
                stores_page,
                store_page,
                sweep_page,
                s3_configs_page,
                upload,
                people,
                keys,
                jobs,
                audit,
                identifier_types_page,
                metadata_fields_page,
            ],
            dependencies={
                "visitor": Provide(provide_visitor),
                "pages": Provide(lambda: pages, sync_to_thread=False),
            },
            before_request=any_query,
            exception_handlers={Exception: refusals},
        ),
        *(
            create_static_files_router(
                path,
                directories=[folder],
                name=path,
                include_in_schema=False,
                before_request=any_query,
                after_request=safely,
            )
            for path, folder in ((ASSETS_PATH, ASSETS), (CHARTS_PATH, CHARTS))
        ),
    ]
