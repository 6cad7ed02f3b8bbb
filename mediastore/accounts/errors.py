"""What can be wrong about who someone is and may do.

AccountError
├── CredentialsWrong        no such name and password, or the token or key is not good (any more)
├── LoginSlowedDown         too many failed log-ins; retryable after `retry_after_s`
├── LoginRequired           nobody is logged in, and this needs somebody
├── NotAllowed              the caller is known, and may not do this
├── AccountNotFound
├── AccountExists           also a name that was used once: names are never given to another person
├── LastAdministrator       someone has to be able to run the place
├── KeyInvalid              a key that would never work
├── KeyNotFound
├── CredentialTooLong       a token that a browser's cookie can't hold
└── IssuerUnavailable       the service that signs tokens, or knows API keys, does not answer; retryable
"""

from mediastore.errors import MediastoreError


class AccountError(MediastoreError):
    code = "account_error"


class CredentialsWrong(AccountError):
    code = "credentials_wrong"


class LoginSlowedDown(AccountError):
    code = "login_slowed_down"
    retryable = True


class LoginRequired(AccountError):
    code = "login_required"


class NotAllowed(AccountError):
    code = "not_allowed"


class AccountNotFound(AccountError):
    code = "account_not_found"


class AccountExists(AccountError):
    code = "account_exists"


class LastAdministrator(AccountError):
    code = "last_administrator"


class KeyInvalid(AccountError):
    code = "key_invalid"


class KeyNotFound(AccountError):
    code = "key_not_found"


class CredentialTooLong(AccountError):
    code = "credential_too_long"


class IssuerUnavailable(AccountError):
    code = "issuer_unavailable"
    retryable = True
