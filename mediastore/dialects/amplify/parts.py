"""What the routes of this dialect are given, put together of the server's services."""

from mediastore.catalog.batch import Batch
from mediastore.catalog.numbers import Numbers
from mediastore.catalog.search import Search
from mediastore.catalog.service import Catalog
from mediastore.database import Database
from mediastore.dialects.amplify.many import Many
from mediastore.dialects.amplify.records import Records
from mediastore.dialects.amplify.sharing import sharing_of
from mediastore.dialects.amplify.transfers import Transfers
from mediastore.placement.directory import Directory
from mediastore.placement.service import Placement
from mediastore.settings import Settings
from mediastore.transfers.arrivals import Arrivals
from mediastore.transfers.direct import DirectUploads
from mediastore.transfers.links import Links
from mediastore.transfers.uploads import Uploads


class Amplify:
    def __init__(
        self,
        database: Database,
        settings: Settings,
        *,
        placement: Placement,
        catalog: Catalog,
        batch: Batch,
        search: Search,
        uploads: Uploads,
        direct_uploads: DirectUploads,
        arrivals: Arrivals,
        links: Links,
    ) -> None:
        sharing = sharing_of(settings)
        directory = Directory(database)
        records = Records(
            numbers=Numbers(database), directory=directory, placement=placement, sharing=sharing, roots=settings.roots
        )
        many = Many(
            records=records,
            catalog=catalog,
            batch=batch,
            search=search,
            arrivals=arrivals,
            max_listed=settings.amplify_max_listed,
            max_answer_bytes=settings.max_answer_bytes,
        )
        transfers = Transfers(
            records=records,
            many=many,
            catalog=catalog,
            uploads=uploads,
            direct_uploads=direct_uploads,
            links=links,
            max_json_bytes=settings.max_json_bytes,
            max_aside_bytes=min(settings.amplify_max_aside_bytes, settings.max_upload_bytes),
        )
        self.provided: dict[str, object] = {
            "directory": directory,
            "amplify_sharing": sharing,
            "amplify_records": records,
            "amplify_many": many,
            "amplify_transfers": transfers,
        }
        """By the names under which handlers ask for them."""
