"""What can go wrong between a client and a server.

ClientError
├── ServerAway          it can't be reached, or the connection broke, or it says that it is not for now; retryable
├── ServerRefused       it said no: `status`, its `problem`, and the `problem_code` in that (docs/errors.md)
│   ├── NotLoggedIn     401
│   ├── NotAllowed      403
│   ├── NotFound        404: not there, or not for you
│   ├── Conflict        409: taken, in use, or in the midst of something else
│   ├── Gone            410: was there once
│   ├── Changed         412: somebody else was quicker
│   ├── TooLarge        413: also beyond a quota
│   └── Invalid         400, 415, 422: what was wrong with the request
├── StoreRefused        a store that bytes went to directly said no
├── AnswerStrange       what came is no answer of this API; is the URL right?
├── BytesWrong          what arrived has not the checksum that the server vouches for
├── FileUnfit           a file of this machine is not what it has to be
└── ProfileUnfit        there is no such profile, or it can't be read
"""

from typing import Any

from mediastore.errors import MediastoreError


class ClientError(MediastoreError):
    code = "client_error"

    def __reduce__(self) -> tuple[Any, ...]:
        """As it is, whatever its class takes: an error that can't be unpickled ends a whole pool of processes."""
        return Exception.__new__, (type(self), *self.args), vars(self)


class ServerAway(ClientError):
    code = "server_away"
    retryable = True

    def __init__(self, message: str, *, reached: bool = True, retry_after_s: float = 0, **fields: object) -> None:
        super().__init__(message, **fields)
        self.reached = reached
        """Whether the request may have come to it."""
        self.retry_after_s = retry_after_s


class ServerRefused(ClientError):
    code = "server_refused"

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or f"the server answered {status}"), status=status, problem=problem)
        self.status = status
        self.problem = problem
        self.problem_code = str(problem.get("code", ""))


class NotLoggedIn(ServerRefused):
    code = "not_logged_in"


class NotAllowed(ServerRefused):
    code = "not_allowed_there"


class NotFound(ServerRefused):
    code = "not_found"


class Conflict(ServerRefused):
    code = "conflict"


class Gone(ServerRefused):
    code = "gone"

    @property
    def expired(self) -> bool:
        """Whether it can be brought back still."""
        return self.problem.get("record_status") == "expired"


class Changed(ServerRefused):
    code = "changed"


class TooLarge(ServerRefused):
    code = "too_large"


class Invalid(ServerRefused):
    code = "invalid"


class StoreRefused(ClientError):
    code = "store_refused"

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"the store answered {status}: {text[:300]}", status=status)
        self.status = status


class AnswerStrange(ClientError):
    code = "answer_strange"


class BytesWrong(ClientError):
    code = "bytes_wrong"


class FileUnfit(ClientError):
    code = "file_unfit"


class ProfileUnfit(ClientError):
    code = "profile_unfit"


REFUSALS: dict[int, type[ServerRefused]] = {
    400: Invalid,
    401: NotLoggedIn,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    410: Gone,
    412: Changed,
    413: TooLarge,
    415: Invalid,
    422: Invalid,
}
STALE = frozenset({400, 401, 403})
"""How stores, and servers, refuse a signed URL whose time is over."""
AWAY = frozenset({408, 429, 502, 503, 504})


def refused(status: int, problem: Any, *, retry_after_s: float = 0) -> ClientError:
    """What an answer of 400 and above means. `problem`: its JSON, or None where it has none."""
    if not isinstance(problem, dict):
        text = f"the server, or something before it, answered {status}"
        if status in AWAY:
            return ServerAway(text, retry_after_s=retry_after_s)
        return AnswerStrange(f"{text} without a reason; is the URL right?")
    if status in AWAY:
        return ServerAway(str(problem.get("detail", status)), retry_after_s=retry_after_s)
    return REFUSALS.get(status, ServerRefused)(status, problem)
