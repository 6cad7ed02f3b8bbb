"""What can go wrong between a client and a server.

ClientError
├── ServerAway          it can't be reached, or the connection broke, or it says that it is not for now; retryable
├── ServerRefused       it said no: `status`, and its `problem`
├── AnswerStrange       what came is no answer of this API; is the URL right?
└── FileUnfit           a file of this machine is not what it has to be
"""

from typing import Any

from mediastore.errors import MediastoreError


class ClientError(MediastoreError):
    code = "client_error"


class ServerAway(ClientError):
    code = "server_away"
    retryable = True


class ServerRefused(ClientError):
    code = "server_refused"

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or f"the server answered {status}"), status=status, problem=problem)
        self.status = status
        self.problem = problem


class AnswerStrange(ClientError):
    code = "answer_strange"


class FileUnfit(ClientError):
    code = "file_unfit"
