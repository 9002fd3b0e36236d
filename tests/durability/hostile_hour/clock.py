"""A wall clock that can be set for some processes: a library that is loaded before libc (``LD_PRELOAD``)."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile long *offset_s;

static int read_clock(clockid_t id, struct timespec *now) {
    static int (*original)(clockid_t, struct timespec *);
    if (!original) original = dlsym(RTLD_NEXT, "clock_gettime");
    int result = original(id, now);
    if (!result && id == CLOCK_REALTIME && offset_s) now->tv_sec += *offset_s;
    return result;
}
__attribute__((constructor)) static void map_offset(void) {
    const char *path = getenv("CLOCK_OFFSET_FILE");
    int file = path ? open(path, O_RDONLY) : -1;
    void *mapped = file < 0 ? MAP_FAILED : mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) offset_s = mapped;
}
int clock_gettime(clockid_t id, struct timespec *now) { return read_clock(id, now); }
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec read;
    read_clock(CLOCK_REALTIME, &read);
    now->tv_sec = read.tv_sec;
    now->tv_usec = read.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *now) {
    struct timespec read;
    read_clock(CLOCK_REALTIME, &read);
    if (now) *now = read.tv_sec;
    return read.tv_sec;
}
"""


class SettableClock:
    """The clock of all processes that are started with ``environment``; empty where there is no compiler."""

    def __init__(self, directory: Path) -> None:
        self._offset, library = directory / "clock_offset", directory / "clock.so"
        self.environment: dict[str, str] = {}
        self.set(0)
        if (compiler := shutil.which("gcc")) is not None:
            source = directory / "clock.c"
            source.write_text(_SOURCE)
            subprocess.run(
                [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True
            )
            self.environment = {"LD_PRELOAD": str(library), "CLOCK_OFFSET_FILE": str(self._offset)}

    def set(self, ahead_s: int) -> None:
        """Set the clock ahead of the machine's; it is written in place, because the file is mapped."""
        with open(self._offset, "r+b" if self._offset.exists() else "wb") as file:
            file.write(struct.pack("l", ahead_s))
