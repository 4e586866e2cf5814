#!/usr/bin/python3
"""Runs clang-tidy over compile_commands.json, only where something changed since it last passed.

tidy.py [--all] [--tests] [--build DIR] [FILE...]

A file is skipped when its command, .clang-tidy and every file it includes are what they were when it last
passed (build/tidy-cache holds one empty file per such state). --all ignores the cache. The generated
headers must exist. Exits 1 on any finding.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = ROOT / "build" / "tidy-cache"
CLANG_TIDY = "clang-tidy-14"
GCC_ONLY_WARNINGS = "--extra-arg=-Wno-unknown-warning-option"
SLOWEST_SHOWN = 3
CACHE_DAYS = 60
NOT_PRODUCT = ("_test", "_bench", "_fuzz")


def our_commands(build):
    """[(file, folder, arguments, sources)] of our own, largest first so that the last one is short.

    The file is one of our sources, or what CMake made to compile several of them together.
    """
    entries = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    ours = {}
    for entry in entries:
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        sources = [path]
        if path.parent.name == "Unity":
            text = path.read_text(encoding="utf-8")
            sources = [pathlib.Path(name) for name in re.findall('^#include "(.*)"$', text, re.MULTILINE)]
        if all(source.is_relative_to(ROOT / "src") for source in sources):
            ours[path] = (path, entry["directory"], shlex.split(entry["command"]), sources)
    return sorted(ours.values(), key=lambda e: -sum(source.stat().st_size for source in e[3]))


def includes(folder, arguments):
    """Every file the command reads, as the compiler itself lists them; None if it cannot."""
    skip = {"-o", "-MF", "-MT", "-MQ"}
    command, take = [], True
    for i, word in enumerate(arguments):
        if i == 0 and pathlib.Path(word).name == "ccache":
            continue
        if not take:
            take = True
        elif word in skip:
            take = False
        elif word not in ("-MD", "-MMD", "-c"):
            command.append(word)
    listing = subprocess.run(command + ["-M"], cwd=folder, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        return None
    names = listing.stdout.split(":", 1)[1].replace("\\\n", " ").split()
    return sorted({os.path.join(folder, name) for name in names})


class Digests:
    """Content for our files; size and time for the system's, which only packages change."""

    def __init__(self):
        self._known = {}

    def of(self, name):
        if name not in self._known:
            path = pathlib.Path(name).resolve()
            if path.is_relative_to(ROOT):
                self._known[name] = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                stat = path.stat()
                self._known[name] = f"{stat.st_size} {stat.st_mtime_ns}"
        return self._known[name]


def state_of(digests, config, folder, arguments):
    """What decides the outcome, as a name for the cache; None if the file does not even preprocess."""
    names = includes(folder, arguments)
    if names is None:
        return None
    digest = hashlib.sha256((config + shlex.join(arguments)).encode())
    for name in names:
        digest.update(f"{os.path.relpath(name, ROOT)} {digests.of(name)}\n".encode())
    return digest.hexdigest()


def tidy_one(build, use_cache, digests, config, command):
    """(source, None where skipped or seconds taken, findings)."""
    path, folder, arguments, _ = command
    state = state_of(digests, config, folder, arguments)
    if use_cache and state and (CACHE / state).exists():
        os.utime(CACHE / state)
        return path, None, ""
    started = time.monotonic()
    run = subprocess.run([CLANG_TIDY, "--quiet", "-p", str(build), GCC_ONLY_WARNINGS, str(path)], cwd=ROOT,
                         capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    if run.returncode != 0:
        return path, seconds, run.stdout or run.stderr
    if state:
        (CACHE / state).touch()
    return path, seconds, ""


def drop_old_states():
    oldest = time.time() - CACHE_DAYS * 86400
    for state in CACHE.iterdir():
        if state.stat().st_mtime < oldest:
            state.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="also what passed before")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--tests", action="store_true", help="also tests, benches and fuzzers (doubles the time)")
    parser.add_argument("files", nargs="*", type=pathlib.Path, help="only these sources")
    options = parser.parse_args()

    CACHE.mkdir(parents=True, exist_ok=True)
    drop_old_states()
    version = subprocess.run([CLANG_TIDY, "--version"], capture_output=True, text=True, check=True).stdout
    config = version + (ROOT / ".clang-tidy").read_text(encoding="utf-8")
    digests = Digests()
    only = {f.resolve() for f in options.files}
    commands = [c for c in our_commands(options.build)
                if (only.intersection(c[3]) if only
                    else options.tests or not all(source.stem.endswith(NOT_PRODUCT) for source in c[3]))]
    if not commands:
        print("clang-tidy: no source to check; is build/release configured, and the file in a CMakeLists.txt?")
        return 1

    failed, times = 0, []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = [pool.submit(tidy_one, options.build, not options.all, digests, config, c) for c in commands]
        for run in concurrent.futures.as_completed(runs):
            path, seconds, findings = run.result()
            if seconds is not None:
                times.append((seconds, path.relative_to(options.build if path.parent.name == "Unity" else ROOT)))
            if findings:
                failed += 1
                print(findings.rstrip(), flush=True)
    slowest = ", ".join(f"{name} {seconds:.0f} s" for seconds, name in sorted(times, reverse=True)[:SLOWEST_SHOWN])
    print(f"clang-tidy: {sum(len(c[3]) for c in commands)} files in {len(commands)} compilations, "
          f"{len(commands) - len(times)} unchanged, {failed} with findings"
          + (f"; slowest {slowest}" if slowest else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
