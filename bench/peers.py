"""What both sides of the benchmark share: the people, running programs, and the machine."""
import csv
import datetime
import os
import platform
import statistics
import subprocess
import time


class Failure(Exception):
    """Says what went wrong and what to do; run.py prints it and ends."""


def phone(row):
    """The phone of a row: no two rows share one, and pgbench and lookup_load.cc can compute it."""
    return str(13000000000 + (row * 4294967291 + 1234567) % 7000000000)


def run(command, **options):
    """Standard output of a program that must succeed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Failure(f"{command[0]} failed with status {done.returncode}: " + " | ".join(said[-4:]))
    return done.stdout


def run_to(command, out, folder):
    """As run(), with output to an open file: for programs that leave a server behind."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder)
    if done.returncode != 0:
        with open(out.name, encoding="utf-8") as f:
            said = f.read().splitlines()
        raise Failure(f"{' '.join(command[:8])} failed with status {done.returncode}: " + " | ".join(said[-4:]))


def timed(call):
    """Seconds that `call` takes."""
    start = time.monotonic()
    call()
    return time.monotonic() - start


def write_people(program, count, path):
    """`count` invented people as CSV, with phones by phone()."""
    with subprocess.Popen([program, "generate", "person", str(count)], stdout=subprocess.PIPE,
                          text=True, encoding="utf-8") as made, \
            open(path, "w", encoding="utf-8", newline="") as out:
        reader, writer = csv.reader(made.stdout), csv.writer(out, lineterminator="\n")
        head = next(reader)
        writer.writerow(head)
        at = head.index("phone")
        for row, values in enumerate(reader):
            values[at] = phone(row)
            writer.writerow(values)
    if made.returncode != 0:
        raise Failure("`strongroom generate person` failed; run it by hand to see why")
    return head


def wait_idle(pids, quiet_seconds, seconds_max):
    """Waits until these processes have used next to no processor for so long. Seconds waited."""
    start, quiet = time.monotonic(), 0
    while quiet < quiet_seconds and time.monotonic() - start < seconds_max:
        before = sum(map(cpu_seconds, pids))
        time.sleep(2)
        quiet = quiet + 2 if sum(map(cpu_seconds, pids)) - before < 0.1 else 0
    return time.monotonic() - start


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid, which):
    """VmRSS or VmHWM of a process."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        for line in f:
            if line.startswith(which + ":"):
                return int(line.split()[1]) * 1024
    raise Failure(f"/proc/{pid}/status has no {which}")


def allocated_bytes(path, skip=()):
    """What a file or folder takes on disk, without files whose name ends in one of `skip`."""
    if os.path.isfile(path):
        return os.stat(path).st_blocks * 512
    return sum(os.stat(os.path.join(folder, name)).st_blocks * 512
               for folder, _, names in os.walk(path) for name in names if not name.endswith(tuple(skip)))


def median(values):
    return statistics.median(values)


def machine():
    def first(path, key):
        with open(path, encoding="utf-8") as f:
            return next((line.split(":", 1)[1].strip() for line in f if line.startswith(key)), "?")
    return {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "processor": first("/proc/cpuinfo", "model name"),
            "cores": os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            "kernel": platform.release(),
            "load_before": os.getloadavg()[0]}
