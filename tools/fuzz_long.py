#!/usr/bin/python3
"""fuzz_long.py [--hours H] [--at-once N] [--only NAME...] [--minutes M]
   Runs each fuzzer of build/fuzz until it has had H hours of a processor (1), the one that has had least first.
   What each had is kept in test/fuzzed.tsv: a run that is interrupted (^C) goes on from there the next time.
   Inputs found are kept in build/fuzz-corpus/NAME; what adds coverage to test/corpus/NAME and is small is put there.
   An input that crashes is kept in test/corpus/NAME, the run of that fuzzer ends, and its hours count from 0
   again; exits 1 then. Fuzzers run at the lowest priority: other work beside them is not slowed much."""
import argparse
import datetime
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEDGER = ROOT / "test/fuzzed.tsv"
COLUMNS = ["fuzzer", "cpu_seconds", "runs", "coverage", "last", "commit"]
SEED_BYTES = 512  # A seed kept in the repository is at most this long: all of them are read at each landing.
SEEDS_ADDED = 24  # And a fuzzer has at most this many that were found, not written.
SLICE_SECONDS = 600  # Written to the ledger this often at least.


def read_ledger(path=LEDGER):
    """{fuzzer: {column: text}}, empty where there is no ledger yet."""
    if not path.exists():
        return {}
    lines = path.read_text().splitlines()
    return {line.split("\t")[0]: dict(zip(COLUMNS, line.split("\t"))) for line in lines[1:]}


def write_ledger(ledger, path=LEDGER):
    rows = [COLUMNS] + [[ledger[name][c] for c in COLUMNS] for name in sorted(ledger)]
    partial = path.with_suffix(".partial")
    partial.write_text("".join("\t".join(row) + "\n" for row in rows))
    partial.replace(path)


def cpu_seconds(pid):
    """Seconds of a processor that a process has had; None when it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Run:
    """One fuzzer at work on its own corpus."""

    def __init__(self, program, had):
        self.name = program.name
        self.program = program
        self.had = had
        self.used = 0.0
        self.corpus = ROOT / "build/fuzz-corpus" / self.name
        self.crashes = ROOT / "build/fuzz-corpus" / f"{self.name}.crashes"
        self.log = ROOT / "build/fuzz-corpus" / f"{self.name}.log"
        self.corpus.mkdir(parents=True, exist_ok=True)
        self.crashes.mkdir(parents=True, exist_ok=True)
        self.seeds = ROOT / "test/corpus" / self.name
        inputs = [self.corpus] + ([self.seeds] if self.seeds.is_dir() else [])
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [program, "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-report_slow_units=60",
                 f"-max_total_time={SLICE_SECONDS}", f"-artifact_prefix={self.crashes}/"] + inputs,
                stdout=log, stderr=log, start_new_session=True, preexec_fn=lambda: os.nice(19))

    def poll(self):
        """True while it runs."""
        used = cpu_seconds(self.process.pid)
        self.used = max(self.used, used or 0)
        return self.process.poll() is None

    def stop(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGINT)
        self.process.wait()

    def result(self):
        """(runs, coverage, crash inputs)"""
        text = self.log.read_text(errors="replace")
        runs = re.search(r"stat::number_of_executed_units:\s+(\d+)", text)
        coverage = re.findall(r"cov: (\d+)", text)
        return int(runs[1]) if runs else 0, int(coverage[-1]) if coverage else 0, sorted(self.crashes.iterdir())


def keep_seeds(program, corpus, seeds):
    """Copies to the repository what small inputs of `corpus` add to the coverage of `seeds`. Returns how many."""
    seeds.mkdir(parents=True, exist_ok=True)
    merged = corpus.parent / f"{corpus.name}.merged"
    shutil.rmtree(merged, ignore_errors=True)
    shutil.copytree(seeds, merged)
    known = {p.name for p in merged.iterdir()}
    subprocess.run([program, "-merge=1", f"-max_len={SEED_BYTES}", merged, corpus], check=False,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    room = SEEDS_ADDED - sum(1 for p in seeds.iterdir() if re.fullmatch(r"[0-9a-f]{40}", p.name))
    added = [p for p in sorted(merged.iterdir(), key=lambda p: p.stat().st_size) if p.name not in known][:max(0, room)]
    for path in added:
        shutil.copy(path, seeds / path.name)
    shutil.rmtree(merged)
    return len(added)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1.0, help="of a processor, for each")
    parser.add_argument("--at-once", type=int, default=os.cpu_count())
    parser.add_argument("--minutes", type=float, help="end after so many, by the clock")
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()

    programs = {p.name: p for p in sorted((ROOT / "build/fuzz").rglob("*_fuzz")) if p.is_file() and os.access(p, os.X_OK)}
    if not programs:
        sys.exit("There is no fuzzer in build/fuzz. `make fuzz` builds them.")
    if unknown := set(arguments.only) - set(programs):
        sys.exit(f"There is no such fuzzer: {', '.join(sorted(unknown))}. build/fuzz has {', '.join(programs)}.")
    wanted = arguments.only or list(programs)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True,
                            check=True).stdout.strip()
    target = arguments.hours * 3600
    ends = time.monotonic() + arguments.minutes * 60 if arguments.minutes else float("inf")
    crashed, running = set(), []

    def had(name):
        return float(read_ledger().get(name, {}).get("cpu_seconds", 0))

    def settle(run):
        runs, coverage, crashes = run.result()
        ledger = read_ledger()
        if crashes:
            ledger.pop(run.name, None)
            run.used, runs = 0, 0
        before = ledger.get(run.name, dict.fromkeys(COLUMNS, "0"))
        ledger[run.name] = {
            "fuzzer": run.name, "cpu_seconds": str(round(float(before["cpu_seconds"]) + run.used)),
            "runs": str(int(before["runs"]) + runs), "coverage": str(max(coverage, int(before["coverage"]))),
            "last": datetime.date.today().isoformat(), "commit": commit}
        write_ledger(ledger)
        for crash in crashes:
            run.seeds.mkdir(parents=True, exist_ok=True)
            shutil.move(crash, run.seeds / crash.name)
            print(f"\n{run.name} CRASHED: {run.program} {run.seeds / crash.name}\nIts output: {run.log}")
            crashed.add(run.name)

    interrupted = False
    try:
        while True:
            for run in [r for r in running if not r.poll() or r.had + r.used >= target]:
                run.stop()
                running.remove(run)
                settle(run)
                if run.name not in crashed and had(run.name) >= target:
                    added = keep_seeds(run.program, run.corpus, run.seeds)
                    print(f"\n{run.name}: {target / 3600:g} h, {read_ledger()[run.name]['runs']} runs, nothing found; "
                          f"{added} seeds kept")
            busy = {r.name for r in running}
            open_ones = sorted((n for n in wanted if n not in crashed | busy and had(n) < target), key=lambda n: (-had(n), n))
            while open_ones and len(running) < arguments.at_once and time.monotonic() < ends:
                name = open_ones.pop(0)
                running.append(Run(programs[name], had(name)))
            if not running:
                break
            if time.monotonic() >= ends:
                raise KeyboardInterrupt
            done = sum(min(target, had(n)) for n in wanted) + sum(r.used for r in running)
            left = (len(wanted) * target - done) / max(1, arguments.at_once) / 3600
            if sys.stderr.isatty():
                print(f"\r{done / len(wanted) / target:6.1%} of {len(wanted)} fuzzers x {arguments.hours:g} h, "
                      f"{left:.1f} h left: {', '.join(r.name for r in running)}\033[K", end="", file=sys.stderr)
            time.sleep(2)
    except KeyboardInterrupt:
        interrupted = True
        for run in running:
            run.poll()
            run.stop()
            settle(run)

    print(f"\n{'fuzzer':<24} {'processor':>10} {'runs':>12} {'coverage':>9}")
    for name, row in read_ledger().items():
        if name in wanted:
            print(f"{name:<24} {float(row['cpu_seconds']) / 60:>7.0f} m  {row['runs']:>12} {row['coverage']:>9}")
    if interrupted:
        print("Interrupted: the next run goes on from here. Nothing that was found is lost.")
    sys.exit(1 if crashed else 0)


if __name__ == "__main__":
    main()
