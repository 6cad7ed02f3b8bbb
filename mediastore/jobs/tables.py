"""What the queue remembers beyond PgQueuer's own tables, whose SQL is PgQueuer's and frozen in the migration."""

from piccolo.columns import BigInt, Text
from piccolo.table import Table


class JobFailure(Table, tablename="job_failure"):
    """How often jobs have failed, since ever: the queue forgets a job that is done, and its log is cut."""

    job = Text(default=None, primary_key=True, help_text="The kind of job, by name; a row is made by its first failure.")
    failures = BigInt(default=0, help_text="Attempts that ended in an error, counted when the job is put back or held.")
