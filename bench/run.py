#!/usr/bin/python3
"""Measures strongroom beside PostgreSQL 15: same people, same machine, same run, both durable.

Prints a table with the target beside each figure and PASS or FAIL, and leaves the figures as JSON in bench/results.
Targets that are missed do not make it fail: it ends with 0 once everything was measured. Run it on a quiet machine.
"""
import argparse
import datetime
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import peers  # noqa: E402
import postgres  # noqa: E402
import report  # noqa: E402
import vault  # noqa: E402
from peers import Failure  # noqa: E402
from shield import Shield  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000, metavar="N", help="people (1000000)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of each measurement (3)")
    parser.add_argument("--seconds", type=int, default=8, metavar="S", help="of each lookup measurement (8)")
    parser.add_argument("--build", default=str(HERE.parent / "build/release"), metavar="DIR",
                        help="where the programs are (build/release)")
    parser.add_argument("--work", default="/var/tmp", metavar="DIR",
                        help="where the data goes, on the disk to measure (/var/tmp); removed at the end")
    parser.add_argument("--shield", action="store_true",
                        help="run both sides before other programs of a busy machine (root only)")
    options = parser.parse_args()
    if min(options.records, options.rounds, options.seconds) < 1:
        parser.error("--records, --rounds and --seconds are 1 or more")
    return options


def check_machine(options):
    lacking = postgres.missing()
    if lacking:
        raise Failure(lacking)
    programs = [f"{options.build}/bin/strongroom"] + [
        f"{options.build}/bench/bench_{name}" for name in ("lookup_load", "lookup_floor", "fsync_floor", "store_sizes")]
    absent = [p for p in programs if not os.access(p, os.X_OK)]
    if absent:
        raise Failure(f"{absent[0]} is not built: ninja -C {options.build} bench_programs")
    # PostgreSQL's files, its log of what was copied, two vaults at a time and the CSV.
    need = options.records * 4000 + (2 << 30)
    if shutil.disk_usage(options.work).free < need:
        raise Failure(f"{options.work} has less than {need >> 30} GiB free; choose another folder with --work")


class Bench:
    """One run. Everything it starts or writes goes with close()."""

    def __init__(self, options):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="strongroom-bench-", dir=options.work)
        os.chmod(self.folder, 0o755)  # PostgreSQL's user has to get through.
        self.csv = f"{self.folder}/people.csv"
        self.shield = Shield() if options.shield else None
        self.postgres = postgres.Cluster(f"{self.folder}/postgres")
        self.vault = None

    def close(self):
        if self.vault is not None:
            self.vault.stop()
        self.postgres.stop()
        if self.shield is not None:
            self.shield.end()
        shutil.rmtree(self.folder)

    def measure(self):
        options = self.options
        people = options.records
        result = {"people": people, "rounds": options.rounds, "seconds": options.seconds,
                  "shield": options.shield, "machine": peers.machine(), "commit": commit()}
        say(f"{people:,} people ...")
        columns = peers.write_people(f"{options.build}/bin/strongroom", people, self.csv)
        self.postgres.start()
        if self.shield is not None:
            self.shield.follow(self.postgres.pid())
        result["postgres_version"] = self.postgres.version()
        result["postgres_durability"] = self.postgres.durability()

        result["import"] = [self._import_round(i, columns) for i in range(options.rounds)]
        self.postgres.check_people(people)
        result["settled_s"] = self.vault.settle()
        resident = {"after_import": int(self.vault.status()["resident_bytes"])}
        log_bytes = self.vault.log_bytes()
        say("PostgreSQL encrypts its copy ...")
        self.postgres.seal_people()

        result["lookup"] = [self._lookup_round(i) for i in range(options.rounds)]
        resident["after_lookups"] = int(self.vault.status()["resident_bytes"])
        result["keyserver_resident_bytes"] = resident
        lookups = sum(r[str(c)]["strongroom"]["requests"] for r in result["lookup"] for c in report.CLIENTS)
        # The warm-ups, of a second each, are logged but not counted.
        result["log_bytes_per_lookup"] = (self.vault.log_bytes() - log_bytes) / lookups * options.seconds / (
            options.seconds + 1)
        self.vault.stop()
        result["disk"] = {"strongroom": {**self.vault.store_sizes(), "key server and release log": log_bytes},
                          "postgres": self.postgres.sizes()}
        result["table"] = report.judge(result)
        return result

    def _import_round(self, i, columns):
        say(f"import, round {i + 1}: PostgreSQL ...")
        postgres_s = self.postgres.copy_people(self.csv, columns)
        if self.vault is not None:
            self.vault.stop()
            shutil.rmtree(self.vault.folder)
        self.vault = vault.Vault(self.options.build, f"{self.folder}/vault{i}", str(HERE / "policy.yaml"))
        self.vault.found()
        say(f"import, round {i + 1}: PostgreSQL {postgres_s:.1f} s; strongroom ...")
        ours = self.vault.import_people(self.csv, self.options.records)
        say(f"import, round {i + 1}: PostgreSQL {postgres_s:.1f} s; strongroom {ours['seconds']:.1f} s")
        return {"postgres_s": postgres_s, "strongroom": ours}

    def _lookup_round(self, i):
        people, seconds = self.options.records, self.options.seconds
        floor = json.loads(peers.run([f"{self.options.build}/bench/bench_fsync_floor", self.folder]))
        out = {"fsync_p50_us": floor["p50_us"]}
        for clients in report.CLIENTS:
            out[str(clients)] = {
                "plain": self.postgres.lookup(postgres.LOOKUP, people, clients, seconds),
                "strongroom": self.vault.lookup(people, clients, seconds),
                "like": self.postgres.lookup(postgres.LIKE_LOOKUP, people, clients, seconds),
                "bare": json.loads(peers.run([f"{self.options.build}/bench/bench_lookup_floor", self.folder,
                                              str(clients), str(seconds)]))}
            say(f"lookup, round {i + 1}, {clients} clients, a second: " + ", ".join(
                f"{side} {figures['per_second']:,.0f}" for side, figures in out[str(clients)].items()))
        return out


def commit():
    done = subprocess.run(["git", "-C", str(HERE), "describe", "--always", "--dirty"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() or "unknown"


def say(text):
    print(text, file=sys.stderr, flush=True)


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    bench = None
    try:
        check_machine(options)
        bench = Bench(options)
        result = bench.measure()
    except Failure as failure:
        sys.exit(f"bench: {failure}")
    except KeyboardInterrupt:
        sys.exit("stopped")
    finally:
        if bench is not None:
            bench.close()
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    path = results / datetime.datetime.now().strftime("%Y%m%d-%H%M%S.json")
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    machine = result["machine"]
    print(f"\n{machine['date']}  {machine['processor']}, {machine['cores']} cores, "
          f"{machine['memory_bytes'] >> 30} GiB, Linux {machine['kernel']}, load before {machine['load_before']:.1f}; "
          f"{result['people']:,} people, medians of {result['rounds']}\n")
    print(report.table(result))
    print(f"\n{path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
