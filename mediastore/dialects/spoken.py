"""What the routes and jobs of all dialects are given, put together of the server's services."""

from mediastore.accounts.credentials import Credentials
from mediastore.catalog.batch import Batch
from mediastore.catalog.search import Search
from mediastore.catalog.service import Catalog
from mediastore.clock import Clock
from mediastore.database import Database
from mediastore.dialects.amplify.parts import Amplify
from mediastore.dialects.bitstore.arrivals import ARRIVAL, LOOK_AGAIN, FormArrivals
from mediastore.dialects.bitstore.keys import KeyPattern
from mediastore.dialects.bitstore.service import Bitstore
from mediastore.dialects.staging.uploads import StagedUploads
from mediastore.jobs.queue import JobQueue
from mediastore.jobs.work import Job
from mediastore.placement.registry import Registry
from mediastore.placement.service import Placement
from mediastore.retention.fixity import FixityCheck
from mediastore.settings import Settings
from mediastore.transfers.arrivals import Arrivals
from mediastore.transfers.completion import Completion
from mediastore.transfers.direct import DirectUploads
from mediastore.transfers.downloads import Downloads
from mediastore.transfers.links import Links
from mediastore.transfers.named_forms import NamedForms
from mediastore.transfers.parts import PartReceiver
from mediastore.transfers.tickets import Tickets
from mediastore.transfers.uploads import Uploads

DAY_S = 86_400


class Dialects:
    """Wired whether they are switched on or not: jobs of one that is switched off come to their end."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        *,
        placement: Placement,
        registry: Registry,
        catalog: Catalog,
        batch: Batch,
        search: Search,
        credentials: Credentials,
        uploads: Uploads,
        direct_uploads: DirectUploads,
        named_forms: NamedForms,
        arrivals: Arrivals,
        part_receiver: PartReceiver,
        completion: Completion,
        downloads: Downloads,
        links: Links,
        fixity: FixityCheck,
        tickets: Tickets,
        jobs: JobQueue,
        clock: Clock,
    ) -> None:
        amplify = Amplify(
            database,
            settings,
            placement=placement,
            catalog=catalog,
            batch=batch,
            search=search,
            uploads=uploads,
            direct_uploads=direct_uploads,
            arrivals=arrivals,
            links=links,
        )
        staged = StagedUploads(
            catalog=catalog,
            search=search,
            uploads=uploads,
            downloads=downloads,
            links=links,
            store=settings.staging_store,
            ttl_s=settings.staging_ttl_s,
            prefix=settings.staging_prefix,
        )
        self.form_arrivals = FormArrivals(
            database,
            completion=completion,
            credentials=credentials,
            registry=registry,
            fixity=fixity,
            jobs=jobs,
            grace_s=settings.upload_grace_s,
            clock=clock,
        )
        bitstore = Bitstore(
            database,
            named_forms=named_forms,
            arrivals=self.form_arrivals,
            part_receiver=part_receiver,
            catalog=catalog,
            downloads=downloads,
            links=Links(
                database,
                downloads=downloads,
                registry=registry,
                tickets=tickets,
                credentials=credentials,
                ttl_s=DAY_S,
                audit=settings.audit_access,
                clock=clock,
            ),
            registry=registry,
            store=settings.bitstore_store or settings.default_store,
            pattern=KeyPattern(settings.bitstore_key_pattern),
            pid_prefix=settings.bitstore_pid_prefix,
            object_acls=settings.bitstore_object_acls,
            max_files=settings.bitstore_max_files,
            clock=clock,
        )
        self.provided: dict[str, object] = {**amplify.provided, "staged": staged, "bitstore": bitstore}
        """By the names under which handlers ask for them."""
        self.job_list = [
            Job(name=ARRIVAL, run=self.form_arrivals.arrival),
            Job(name=LOOK_AGAIN, run=self.form_arrivals.look_again),
        ]
