"""Puts a benchmark before what else a busy machine runs, both sides of it alike.

A program that is kept waiting for its turn after every fsync, 4 ms each, shows nothing but that. Nice alone does not
help: a short time slice (Linux 6.12) lets a program on as soon as it wakes, and where the kernel shares processors by
session ("autogroup"), sessions are what has to be favoured.
"""
import ctypes
import os
import platform
import struct
import threading

from peers import Failure

NICE = -15
SLICE_NS = 100_000
WATCH_S = 0.05
SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}


class Shield:
    """Over this process and all it starts from here on. end() gives the session back what it had."""

    def __init__(self):
        number = SCHED_SETATTR.get(platform.machine())
        if number is None:
            raise Failure("--shield does not know this processor; leave it out, and the machine alone")
        # struct sched_attr: size, policy 0 (normal), flags, nice, priority, runtime (the slice), deadline, period.
        attributes = ctypes.create_string_buffer(struct.pack("IIQiIQQQ", 48, 0, 0, NICE, 0, SLICE_NS, 0, 0))
        if ctypes.CDLL(None, use_errno=True).syscall(number, 0, attributes, 0) != 0:
            raise Failure("--shield was refused: " + os.strerror(ctypes.get_errno()))
        self.ended = threading.Event()
        self.before = None
        if os.path.exists("/proc/self/autogroup"):
            with open("/proc/self/autogroup", encoding="utf-8") as f:
                self.before = int(f.read().split()[-1])
            favour("self")

    def follow(self, pid):
        """Favours a server that gives each of its children a session of its own, as PostgreSQL does, and these too."""
        def watch():
            known = set()
            while not self.ended.wait(WATCH_S):
                for child in {pid, *children(pid)} - known:
                    known.add(child)
                    favour(child)
        threading.Thread(target=watch, daemon=True).start()

    def end(self):
        self.ended.set()
        if self.before is not None:
            favour("self", self.before)


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as f:
            return set(map(int, f.read().split()))
    except OSError:
        return set()


def favour(pid, nice=NICE):
    try:
        with open(f"/proc/{pid}/autogroup", "w", encoding="utf-8") as f:
            f.write(str(nice))
    except OSError:
        pass  # Gone, or the kernel shares processors by process.
