"""Becomes another program that ends when its parent does: the child side of `embedded.py`.

    python -I -S embedded_child.py PARENT_PID UID GID BEYOND PROGRAM ARGUMENT...

A program of its own, and not a `preexec_fn`, because Python code between fork and exec can deadlock in a process with threads.
Imports the standard library alone: it starts without the environment's packages.

In this order:

1. When running as root, becomes UID and GID, since PostgreSQL refuses to run as root. With BEYOND = 1 it takes one capability
   along, to pass closed parent folders (see `keep_reach`).
2. On Linux asks the kernel for SIGINT, PostgreSQL's fast shutdown, when the parent's thread that started it ends, by `kill -9`
   too. After step 1, because a change of user forgets the request; it outlives the exec.
3. Ends at once where the parent was gone before step 2.
4. Becomes PROGRAM.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
LINUX_CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2


class CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class CapabilityWord(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def main(arguments: list[str]) -> None:
    parent_pid, uid, gid, beyond = (int(argument) for argument in arguments[:4])
    program = arguments[4:]
    if os.geteuid() != uid:
        become(uid, gid, beyond=bool(beyond))
    if sys.platform == "linux":
        call("prctl", PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit("the parent process has ended")
    os.execv(program[0], program)  # noqa: S606 - the caller's fixed list, no shell


def become(uid: int, gid: int, *, beyond: bool) -> None:
    """Leave root for good. `beyond`: keep the way through folders that are closed to the new user."""
    capability = reach() if beyond else None
    if capability is not None:
        call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if capability is not None:
        keep_reach(capability)


def reach() -> int:
    """The smaller of the two capabilities that let a process search any folder. Containers usually have only the larger one."""
    words = (CapabilityWord * 2)()
    call("capget", ctypes.byref(CapabilityHeader(LINUX_CAPABILITY_VERSION_3, 0)), words)
    return CAP_DAC_READ_SEARCH if words[0].permitted & (1 << CAP_DAC_READ_SEARCH) else CAP_DAC_OVERRIDE


def keep_reach(capability: int) -> None:
    """Drop every capability but one, and keep that one over exec (an ambient capability; see capabilities(7))."""
    words = (CapabilityWord * 2)()
    words[0] = CapabilityWord(1 << capability, 1 << capability, 1 << capability)
    call("capset", ctypes.byref(CapabilityHeader(LINUX_CAPABILITY_VERSION_3, 0)), words)
    call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)


def call(function: str, *arguments: object) -> None:
    """A system call of Linux by its name in the C library."""
    library = ctypes.CDLL(None, use_errno=True)
    values = [ctypes.c_ulong(argument) if isinstance(argument, int) else argument for argument in arguments]
    if library[function](*values) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


if __name__ == "__main__":
    main(sys.argv[1:])
