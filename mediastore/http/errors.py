"""What can be wrong with a request before anybody looks at what it wants.

RequestError
├── BodyInvalid             not JSON, or JSON that does not fit: an unknown field, a wrong type
├── PathInvalid             the path of the request is not text
├── HeaderInvalid           a header's value makes no sense
├── QueryUnknown            a query parameter that this call does not know
├── BodyStalled             a body that is read as it comes has stopped coming
├── CrossSite               a page of another site asked for what only pages of this server may
├── BodyCut                 the connection ended before the body did
├── RangeNotSatisfiable     none of the bytes asked for is there
└── PreconditionFailed      If-Match or If-None-Match says that things are not as the caller thinks
"""

from mediastore.errors import MediastoreError


class RequestError(MediastoreError):
    code = "request_invalid"


class BodyInvalid(RequestError):
    code = "body_invalid"


class PathInvalid(RequestError):
    code = "path_invalid"


class HeaderInvalid(RequestError):
    code = "header_invalid"


class QueryUnknown(RequestError):
    code = "query_unknown"


class PreconditionFailed(RequestError):
    code = "precondition_failed"


class BodyStalled(RequestError):
    code = "body_stalled"


class CrossSite(RequestError):
    code = "cross_site"


class BodyCut(RequestError):
    code = "body_cut"


class RangeNotSatisfiable(RequestError):
    code = "range_not_satisfiable"
