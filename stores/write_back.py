"""Write-back that begins while bytes still come in, so that the sync at the end has little left to do."""

import ctypes

_STEP_BYTES = 8 * 1024 * 1024  # enough for a disk to work at full speed, and little for it to catch up with in the end
_SYNC_FILE_RANGE_WRITE = 2  # linux/fs.h

_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)  # Linux alone has it
if _sync_file_range is not None:
    _sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]


class WriteBack:
    """Of one file that grows at its end. A hint: it promises nothing, raises nothing, and never stands in for a sync.

    Where the system can't, or a file system won't, nothing happens. An error of the disk is left for the sync to report:
    fdatasync on the way would take it away from the one at the end, and would write the file system's journal each time.
    """

    def __init__(self, *, begun: int = 0) -> None:
        """`begun`: where the writing begins, bytes."""
        self._begun = begun

    def grown(self, descriptor: int, size: int) -> None:
        """The file, or what this writer writes of it, ends at `size` by now. Blocking: waits while the disk has more than enough
        to do.
        """
        if _sync_file_range is not None and size - self._begun >= _STEP_BYTES:
            _sync_file_range(descriptor, self._begun, size - self._begun, _SYNC_FILE_RANGE_WRITE)
            self._begun = size
