"""What can be wrong with registering objects that exist.

RegisteringError
├── NothingThere            the store has no object at the key
├── ObjectUnreadable        the store does not give what lies there: a link, or nothing for the server
├── KeyNamed                a row names the key: the bytes are somebody's, or were
├── PatternInvalid          a pattern that can't give PIDs
├── RegistrationNotFound
├── RegistrationEnded       it is done or has failed, and can't be cancelled
├── ScanNotFound
└── ScanEnded
"""

from mediastore.errors import MediastoreError


class RegisteringError(MediastoreError):
    code = "registering_error"


class NothingThere(RegisteringError):
    code = "nothing_there"


class ObjectUnreadable(RegisteringError):
    code = "object_unreadable"


class KeyNamed(RegisteringError):
    code = "key_named"


class PatternInvalid(RegisteringError):
    code = "pid_pattern_invalid"


class RegistrationNotFound(RegisteringError):
    code = "registration_not_found"


class RegistrationEnded(RegisteringError):
    code = "registration_ended"


class ScanNotFound(RegisteringError):
    code = "scan_not_found"


class ScanEnded(RegisteringError):
    code = "scan_ended"
