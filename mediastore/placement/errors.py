"""What can be wrong with stores and S3 configs.

PlacementError
├── StoreNotFound
├── StoreExists             the name is taken
├── StoreInvalid            a field that can't work: kind, path, bucket, options
├── StoreOverlaps           its place is, or lies in, another store's place
├── StoreInUse              records or bytes depend on where it is; `records` says how many
├── StoreDisabled           switched off by an administrator
├── QuotaExceeded           more than the store, or one owner, may have
├── AllowanceExceeded       more than somebody's own allowance, which an outside service gives
├── S3ConfigNotFound
├── S3ConfigExists
├── S3ConfigInUse           stores depend on it
└── EndpointRefused         an address that this server must not talk to
"""

from mediastore.errors import MediastoreError


class PlacementError(MediastoreError):
    code = "placement_error"


class StoreNotFound(PlacementError):
    code = "store_not_found"


class StoreExists(PlacementError):
    code = "store_exists"


class StoreInvalid(PlacementError):
    code = "store_invalid"


class StoreOverlaps(PlacementError):
    code = "store_overlaps"


class StoreInUse(PlacementError):
    code = "store_in_use"


class StoreDisabled(PlacementError):
    code = "store_disabled"


class QuotaExceeded(PlacementError):
    code = "quota_exceeded"


class AllowanceExceeded(PlacementError):
    code = "allowance_exceeded"


class S3ConfigNotFound(PlacementError):
    code = "s3_config_not_found"


class S3ConfigExists(PlacementError):
    code = "s3_config_exists"


class S3ConfigInUse(PlacementError):
    code = "s3_config_in_use"


class EndpointRefused(PlacementError):
    code = "endpoint_refused"
