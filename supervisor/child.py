"""Becomes a server that ends with its parent: run as a script by supervisor/server.py, which says why."""

from __future__ import annotations

import ctypes
import os
import sys

# <linux/prctl.h>, <linux/capability.h>
PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_READ_SEARCH = 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


def become(parent: int, death_signal: int, uid: int, gid: int, *, keep_passage: bool, command: list[str]) -> None:
    """Replace this process by `command`, as `uid` where this is root; `death_signal` comes when the parent ends.

    With `keep_passage` a server that root starts as another user still passes through folders that only root can enter,
    as a home where the project stands: Postgres refuses root's user id, not root's right of way.
    """
    os.umask(0o077)
    if os.geteuid() == 0 and uid != 0:
        _drop_root(uid, gid, keep_passage=keep_passage)
    if sys.platform == "linux":
        # After setuid, which clears it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent has already ended")
    os.execv(command[0], command)  # noqa: S606  # no shell, an absolute path


def _drop_root(uid: int, gid: int, *, keep_passage: bool) -> None:
    libc = ctypes.CDLL(None)
    keep = keep_passage and sys.platform == "linux" and libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if not keep:
        return
    # The narrow right first; containers often withhold it and leave the wide one. Where both are gone, Postgres says
    # itself which folder it cannot enter.
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        bit = 1 << capability
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
        if libc.capset(header, sets) == 0 and libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0:
            return


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:6]]
    become(*numbers[:4], keep_passage=bool(numbers[4]), command=sys.argv[6:])
