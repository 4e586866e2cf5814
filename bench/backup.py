#!/usr/bin/python3 -B
"""Backs a vault of invented people up while it serves, and restores it: how fast, beside a plain copy of the same bytes.

bench/backup.py [--records 1000000] [--build build/release] [--work /var/tmp]
"""
import argparse
import glob
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

BATCH_SEED = "7"
TURNS = 3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--work", default="/var/tmp")
    options = parser.parse_args()
    program = os.path.abspath(f"{options.build}/bin/strongroom")
    work = tempfile.mkdtemp(prefix="strongroom-backup-", dir=options.work)
    server = None
    figures = {"records": options.records}

    def run(*args, who=None):
        command = [program, *args]
        if who:
            command += ["--credential", f"{work}/v/credentials/{who}.json"]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=work).stdout

    def forget_cached():
        os.sync()
        if os.access("/proc/sys/vm/drop_caches", os.W_OK):
            with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
                file.write("3")

    def timed(name, what):
        os.sync()
        started = time.monotonic()
        out = what()
        figures[name] = round(time.monotonic() - started, 2)
        print(f"{name:24} {figures[name]:8.2f}", file=sys.stderr, flush=True)
        return out

    def serve(folder):
        nonlocal server
        server = subprocess.Popen([program, "serve", folder, "--listen", "127.0.0.1:0", "--json"], cwd=work,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if not server.stdout.readline():
            raise RuntimeError("serve did not start")

    def stop():
        nonlocal server
        if server:
            server.terminate()
            server.wait(120)
            server.stdout.close()
            server = None

    def find(folder, phone):
        out = subprocess.run([program, "find", "person", f"phone={phone}", "--purpose", "service", "--json",
                              "--credential", f"{folder}/credentials/clerk.json"], check=True, capture_output=True,
                             text=True, cwd=work).stdout
        return len(json.loads(out)["records"])

    def import_people(name, count, seed):
        with open(f"{work}/{name}", "wb") as file:
            subprocess.run([program, "generate", "person", str(count), "--seed", seed], check=True, stdout=file)
        return lambda: run("import", "person", name, "--json", who="operator")

    try:
        run("init", "v", "--dev")
        serve("v")
        policy = json.loads(run("policy", "show", "--json", who="officer"))
        policy.pop("limits", None)
        for role in policy["roles"]:
            for grant in role["grants"]:
                grant["budget"] = {name: 10**9 for name in grant["budget"]}
        with open(f"{work}/policy.yaml", "w", encoding="utf-8") as file:
            json.dump(policy, file)
        request = json.loads(run("policy", "apply", "policy.yaml", "--json", who="officer"))["request"]
        for who in ("approver1", "approver2") if int(request) else ():
            run("approve", str(request), "--yes", who=who)
        timed("import_s", import_people("people.csv", options.records, BATCH_SEED))
        with open(f"{work}/people.csv", encoding="utf-8") as file:
            columns = file.readline().strip().split(",")
            phone = file.readline().split(",")[columns.index("phone")]
        # In turns with the floor: the same files by dd, each synced, as the disk is at that time; all read from the disk.
        plain, sealed = [], []
        for turn in range(TURNS):
            forget_cached()
            os.mkdir(f"{work}/l")  # Links: a merge may remove files meanwhile.
            for path in glob.glob(f"{work}/v/store/*.sst"):
                os.link(path, f"{work}/l/{os.path.basename(path)}")
            timed(f"plain_copy_{turn}_s", lambda: subprocess.run(
                "mkdir c && for f in l/*.sst; do dd if=$f of=c/${f##*/} bs=1M conv=fsync status=none; done",
                shell=True, check=True, cwd=work))
            plain.append(figures[f"plain_copy_{turn}_s"])
            shutil.rmtree(f"{work}/c")
            shutil.rmtree(f"{work}/l")
            shutil.rmtree(f"{work}/b", ignore_errors=True)
            forget_cached()
            taken = json.loads(timed(f"backup_{turn}_s", lambda: run("backup", "b", "--json", who="operator")))
            sealed.append(figures[f"backup_{turn}_s"])
            figures["backup_bytes"] = taken["bytes"]
        figures["of_plain_copy"] = round(statistics.median(plain) / statistics.median(sealed), 2)
        again = json.loads(timed("backup_again_s", lambda: run("backup", "b", "--json", who="operator")))
        figures["backup_again_bytes"] = again["bytes_written"]
        import_people("more.csv", max(1, options.records // 100), "8")()
        more = json.loads(timed("backup_increment_s", lambda: run("backup", "b", "--json", who="operator")))
        figures["backup_increment_bytes"] = more["bytes_written"]
        timed("verify_backup_s", lambda: run("verify", "b"))
        timed("verify_serving_s", lambda: run("verify", "v"))
        stop()
        forget_cached()

        def back():
            run("restore", "b", "r")
            for path in glob.glob(f"{work}/v/credentials/*.json"):
                shutil.copy(path, f"{work}/r/credentials")
            serve("r")
            while True:
                try:
                    if find("r", phone) == 0:
                        raise RuntimeError("the restored vault does not find")
                    return
                except subprocess.CalledProcessError:
                    time.sleep(0.1)
        timed("restore_and_find_s", back)
        stop()
        for name, seconds in (("backup", sealed), ("plain_copy", plain)):
            figures[f"{name}_mb_per_s"] = round(figures["backup_bytes"] / 1e6 / statistics.median(seconds))
        print(json.dumps(figures, indent=1))
    finally:
        stop()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
