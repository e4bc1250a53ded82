"""What the disk costs and takes: fsync times, bytes, flushes of the device."""

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles


@dataclass
class FsyncCost:
    """Milliseconds."""

    append_median: float
    append_p99: float
    new_file_median: float
    new_file_p99: float


def fsync_cost(folder: Path, times: int = 200) -> FsyncCost:
    """Appending 4 KB to a file; and a new 10 KB file with its directory, as Maildir writes it."""
    folder.mkdir()
    append, new_file = [], []
    directory = os.open(folder, os.O_RDONLY)
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in range(times):
        began = time.perf_counter()
        os.write(log, os.urandom(4096))
        os.fsync(log)
        append.append(time.perf_counter() - began)
        began = time.perf_counter()
        file = os.open(folder / str(number), os.O_WRONLY | os.O_CREAT)
        os.write(file, bytes(10240))
        os.fsync(file)
        os.close(file)
        os.fsync(directory)
        new_file.append(time.perf_counter() - began)
    for descriptor in (log, directory):
        os.close(descriptor)
    return FsyncCost(*(1000 * value for times in (append, new_file) for value in (median(times), percentile(times, 99))))


def fsync_cost_in(work: Path) -> FsyncCost:
    """The cost on the disk of this folder, which is left as it was."""
    with tempfile.TemporaryDirectory(prefix="pennypost-fsync-", dir=work) as folder:
        return fsync_cost(Path(folder) / "files")


def percentile(values: list[float], which: int) -> float:
    return quantiles(values, n=100, method="inclusive")[which - 1]


def bytes_on_disk(folders: list[Path]) -> int:
    total = 0
    for folder in folders:
        for parent, _, files in os.walk(folder):
            for name in files:
                try:
                    total += os.lstat(os.path.join(parent, name)).st_blocks * 512
                except FileNotFoundError:
                    pass
    return total


@dataclass
class DeviceCounters:
    """Of the whole device, whoever used it."""

    written: int
    flushes: int

    def since(self, before: "DeviceCounters") -> "DeviceCounters":
        return DeviceCounters(self.written - before.written, self.flushes - before.flushes)


def device_counters(folder: Path) -> DeviceCounters | None:
    device = os.stat(folder).st_dev
    for line in Path("/proc/diskstats").read_text().splitlines():
        fields = line.split()
        if (int(fields[0]), int(fields[1])) == (os.major(device), os.minor(device)) and len(fields) >= 20:
            return DeviceCounters(int(fields[9]) * 512, int(fields[18]))
    return None


def filesystem_type(folder: Path) -> str:
    """The type of the mount that holds the folder, as /proc/mounts has it."""
    best = ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount_point, kind, *_ = line.split()
        inside = folder == Path(mount_point) or Path(mount_point) in folder.parents
        if inside and len(mount_point) >= len(best[0]):
            best = (mount_point, kind)
    return best[1]
