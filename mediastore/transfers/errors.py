"""What can be wrong with bytes on their way.

TransferError
├── DigestMismatch          the bytes are not those that were claimed; both digests are told
├── DigestInvalid           a claimed digest is none, or of an algorithm that is not known
├── SizeMismatch            more or fewer bytes than declared
├── UploadTooLarge          more bytes than one object may have
├── UploadStalled           the client sent nothing for too long
├── UploadCut               the connection ended before the body did; nobody is there to be told
├── UploadInterrupted       the upload was given up while it ran: too slow to show life, or its record went
├── UploadUnknown           no such direct upload, or none that the caller may know of
├── UploadEnded             it was completed, cancelled or given up, and can't go on
│   └── UploadSuperseded    nobody completed it, and the record has newer content by now
├── UploadFailed            what came was not what was declared; `problem` tells
├── UploadExpired           nothing was heard of it for too long
├── UploadIncomplete        bytes or parts are missing; `missing` names them
├── UploadUnverified        what the store holds is not what was sent; retryable
├── FormInvalid             a multipart/form-data body that can't be used
├── EncodingRefused         a Content-Encoding: bytes are kept as they come, so they have to come plain
├── ContentMissing          the record has no content (yet)
├── ContentLost             the bytes are gone for good
├── ContentUnavailable      the store does not give what it should have; retryable
├── VersionNotFound
├── BytesChanged            bytes that lie in a store were others after they were read than before
├── PartBusy                this part is on its way several times already; retryable
├── PreviewFailed           the first rows can't be shown: no such file, damaged, or more than a preview may need
├── PreviewBusy             too many previews at once; retryable
├── TicketWrong             the token of a signed URL is wrong, revoked or has expired
└── DirectUnavailable       this way of sending is not possible with this store
"""

from mediastore.errors import MediastoreError


class TransferError(MediastoreError):
    code = "transfer_error"


class DigestMismatch(TransferError):
    code = "digest_mismatch"


class DigestInvalid(TransferError):
    code = "digest_invalid"


class SizeMismatch(TransferError):
    code = "size_mismatch"


class UploadTooLarge(TransferError):
    code = "upload_too_large"


class UploadStalled(TransferError):
    code = "upload_stalled"
    retryable = True


class UploadCut(TransferError):
    code = "upload_cut"
    retryable = True


class UploadInterrupted(TransferError):
    code = "upload_interrupted"
    retryable = True


class UploadUnverified(TransferError):
    code = "upload_unverified"
    retryable = True


class UploadUnknown(TransferError):
    code = "upload_unknown"


class UploadEnded(TransferError):
    code = "upload_ended"


class UploadSuperseded(UploadEnded):
    code = "upload_superseded"


class UploadFailed(TransferError):
    code = "upload_failed"


class UploadExpired(TransferError):
    code = "upload_expired"


class UploadIncomplete(TransferError):
    code = "upload_incomplete"


class PartBusy(TransferError):
    code = "part_busy"
    retryable = True


class TicketWrong(TransferError):
    code = "url_token_wrong"


class FormInvalid(TransferError):
    code = "form_invalid"


class EncodingRefused(TransferError):
    code = "encoding_refused"


class ContentMissing(TransferError):
    code = "content_missing"


class ContentLost(TransferError):
    code = "content_lost"


class ContentUnavailable(TransferError):
    code = "content_unavailable"
    retryable = True


class VersionNotFound(TransferError):
    code = "version_not_found"


class BytesChanged(TransferError):
    code = "bytes_changed"


class PreviewFailed(TransferError):
    code = "preview_failed"


class PreviewBusy(TransferError):
    code = "preview_busy"
    retryable = True


class DirectUnavailable(TransferError):
    code = "direct_unavailable"
