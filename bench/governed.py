#!/usr/bin/python3 -B
"""What the rules of a policy cost a lookup: the same vault under a policy with budgets alone, and under one with everything on.

Everything: limits at every scope in three windows, hours, days, 64 networks, 16 case patterns, records free within an hour, every watch rule,
canaries, and a hundred freezes of others. The two take turns; a ratio is the median of the rounds' own.

bench/governed.py [--records 200000] [--rounds 5] [--seconds 4] [--shield] [--build build/release] [--work /var/tmp]
"""
import argparse
import copy
import json
import os
import shutil
import statistics
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import peers  # noqa: E402
import vault  # noqa: E402
from shield import Shield  # noqa: E402

CLIENTS = (8, 32)
MUCH = 10**9
RULES = ("rate", "walk", "breadth", "drip", "hours", "refusals", "purposes", "emergency", "canary")
FREEZES = 100


def bare_of(policy):
    out = copy.deepcopy(policy)
    out.pop("limits", None)
    out["watch"] = {rule: {"action": "OFF"} for rule in RULES}
    return out


def governed_of(policy):
    out = copy.deepcopy(policy)
    windows = {"hour": MUCH, "day": MUCH, "month": MUCH}
    limit = {name: windows for name in ("records", "searches", "writes", "erasures")}
    out["limits"] = {"each_principal": limit, "each_gateway": limit, "each_collection": limit, "vault": limit,
                     "repeat_free_minutes": 60}
    out["watch"] = {rule: {"action": "NOTIFY"} for rule in RULES}
    for purpose in out["purposes"]:
        if purpose["name"] == "investigation":
            purpose["case_patterns"] = [f"A{i}-####" for i in range(15)] + ["case-*"]
    for role in out["roles"]:
        for grant in role.get("grants", ()):
            grant["hours"] = "00:00-23:59"  # The one minute would be missed.
            grant["days"] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
            grant["networks"] = [f"10.{i}.0.0/16" for i in range(63)] + ["127.0.0.0/8"]
    return out


class Bench:
    def __init__(self, options):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="strongroom-governed-", dir=options.work)
        self.vault = vault.Vault(options.build, f"{self.folder}/vault", f"{HERE}/policy.yaml")
        self.shield = Shield() if options.shield else None

    def close(self):
        self.vault.stop()
        if self.shield is not None:
            self.shield.end()
        shutil.rmtree(self.folder)

    def apply(self, policy):
        policy.pop("version", None)
        path = f"{self.folder}/policy.yaml"
        with open(path, "w", encoding="utf-8") as file:
            json.dump(policy, file)
        request = json.loads(self.vault.as_("officer", "policy", "apply", path, "--json")).get("request", 0)
        for approver in ("approver1", "approver2") if int(request) else ():
            self.vault.as_(approver, "approve", str(request), "--yes")

    def measure(self):
        options = self.options
        csv = f"{self.folder}/people.csv"
        peers.write_people(f"{options.build}/bin/strongroom", options.records, csv)
        self.vault.found()
        if self.shield is not None:
            self.shield.follow(self.vault.server.pid)
        self.vault.import_people(csv, options.records)
        # Into another collection, since those of this one cannot be invented; each opened record is held against them.
        self.vault.as_("operator", "collection", "apply", f"{HERE}/../examples/collections/person.yaml")
        self.vault.as_("operator", "canary", "plant", "person", "--count", "1000")
        for i in range(FREEZES):
            self.vault.as_("approver1", "freeze", f"principal:gone-{i}")
        self.vault.settle()
        policy = json.loads(self.vault.as_("officer", "policy", "show", "--json"))
        sides = {"bare": bare_of(policy), "governed": governed_of(policy)}
        rounds = []
        for i in range(options.rounds):
            one = {}
            for side in sorted(sides, reverse=i % 2 == 1):
                self.apply(sides[side])
                one[side] = {clients: self.vault.lookup(options.records, clients, options.seconds) for clients in CLIENTS}
            rounds.append(one)
            for clients in CLIENTS:
                print(f"round {i + 1}, {clients} clients: " + ", ".join(
                    f"{side} {one[side][clients]['per_second']:,.0f}/s" for side in ("bare", "governed")),
                    file=sys.stderr, flush=True)
        return rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--shield", action="store_true")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--work", default="/var/tmp")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    bench = Bench(options)
    try:
        rounds = bench.measure()
    finally:
        bench.close()
    print("clients  bare a second  governed  ratio (target >= 0.90)  key server, us a lookup: bare, governed")
    for clients in CLIENTS:
        def median(of):
            return statistics.median(of(one) for one in rounds)
        print(f"{clients:7}  {median(lambda o: o['bare'][clients]['per_second']):13,.0f}"
              f"  {median(lambda o: o['governed'][clients]['per_second']):8,.0f}"
              f"  {median(lambda o: o['governed'][clients]['per_second'] / o['bare'][clients]['per_second']):5.2f}"
              f"  {median(lambda o: o['bare'][clients]['cpu_us']['keyserver']):40.1f}"
              f"  {median(lambda o: o['governed'][clients]['cpu_us']['keyserver']):6.1f}")


if __name__ == "__main__":
    main()
