"""A strongroom vault of its own on loopback, as `serve` runs it."""
import json
import os
import select
import subprocess

import peers
from peers import Failure, run

HERE = os.path.dirname(os.path.abspath(__file__))
START_SECONDS_MAX = 300


class Vault:
    """Owns `serve`; stop() ends it. The folder's remover is its owner."""

    def __init__(self, build, folder, policy, serve_options=()):
        self.strongroom = f"{build}/bin/strongroom"
        self.tools = f"{build}/bench"
        self.folder = folder
        self.policy = policy
        self.serve_options = list(serve_options)
        self.server = None
        self.pids = {}

    def found(self):
        run([self.strongroom, "init", self.folder, "--dev"])
        self.serve()
        self.as_("operator", "collection", "apply", f"{HERE}/person.yaml")
        self.as_("officer", "policy", "apply", self.policy)
        for approver in ("approver1", "approver2"):  # A founded vault has no other request.
            self.as_(approver, "approve", "1", "--yes")

    def serve(self):
        log = f"{self.folder}.log"
        with open(log, "a", encoding="utf-8") as err:
            self.server = subprocess.Popen(
                [self.strongroom, "serve", self.folder, "--listen", "127.0.0.1:0", "--json",
                 *self.serve_options],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, text=True)
        ready, _, _ = select.select([self.server.stdout], [], [], START_SECONDS_MAX)
        line = self.server.stdout.readline() if ready else ""
        if not line:
            with open(log, encoding="utf-8") as f:
                raise Failure("`strongroom serve` did not start: " + " | ".join(f.read().splitlines()[-3:]))
        said = json.loads(line)
        self.pids = {"gateway": said["gateway_pid"], "keyserver": said["keyserver_pid"]}
        if said["compactor_pid"]:
            self.pids["compactor"] = said["compactor_pid"]

    def stop(self):
        if self.server is None:
            return
        self.server.terminate()
        try:
            self.server.wait(60)
        except subprocess.TimeoutExpired:
            self.server.kill()  # Its children end with it.
            self.server.wait()
        self.server.stdout.close()
        self.server = None

    def import_people(self, csv_path, count):
        """Seconds from starting `import` to its end, when everything is durable; and processor seconds."""
        before = self._cpu()
        started = os.times()
        said = []
        seconds = peers.timed(lambda: said.append(self.as_(
            "operator", "import", "bench_person", csv_path, "--key", "national_id", "--json")))
        ended = os.times()
        if json.loads(said[0])["imported"] != count:
            raise Failure("not everybody was imported: " + said[0].strip())
        client = ended.children_user + ended.children_system - started.children_user - started.children_system
        return {"seconds": seconds, "cpu_s": {"client": client, **self._cpu(before)},
                "gateway_peak_bytes": peers.memory_bytes(self.pids["gateway"], "VmHWM"),
                "keyserver_peak_bytes": peers.memory_bytes(self.pids["keyserver"], "VmHWM")}

    def lookup(self, people, clients, seconds):
        """Figures of bench_lookup_load, with the processor time each of our processes took for one lookup."""
        credential = f"{self.folder}/credentials/clerk.json"

        def load(for_seconds):
            return json.loads(run([f"{self.tools}/bench_lookup_load", credential, str(people), str(clients),
                                   str(for_seconds)]))
        load(1)
        before = self._cpu()
        figures = load(seconds)
        cpu = self._cpu(before)
        figures["cpu_us"] = {name: used * 1e6 / figures["requests"] for name, used in cpu.items()}
        return figures

    def ask(self, queries):
        """What bench_query_load says of each; its source has what a query is."""
        lines = "".join(json.dumps(query) + "\n" for query in queries)
        said = run([f"{self.tools}/bench_query_load", f"{self.folder}/credentials/clerk.json"], input=lines)
        return [json.loads(line) for line in said.splitlines()]

    def status(self):
        return json.loads(self.as_("officer", "status", "--json"))

    def settle(self):
        """Waits until lanes are merged and what they took on the disk is free again. Seconds waited.

        The compactor looks each 10 s; the rows of lanes that it retired go a query deadline, a minute, later.
        """
        return peers.wait_idle(self.pids.values(), quiet_seconds=80, seconds_max=1800)

    def log_bytes(self):
        return peers.allocated_bytes(f"{self.folder}/keyserver")

    def store_sizes(self):
        """Bytes of each table; only while stopped."""
        sizes = json.loads(run([f"{self.tools}/bench_store_sizes", f"{self.folder}/store"]))
        # RocksDB's write-ahead log and its own text log are left out, as PostgreSQL's are.
        whole = peers.allocated_bytes(f"{self.folder}/store", (".log", "LOG")) - peers.allocated_bytes(
            f"{self.folder}/store/LOG")
        sizes["other"] = max(0, whole - sum(sizes.values()))
        return sizes

    def as_(self, who, *command):
        return run([self.strongroom, *command, "--credential", f"{self.folder}/credentials/{who}.json"])

    def _cpu(self, before=None):
        now = {name: peers.cpu_seconds(pid) for name, pid in self.pids.items()}
        return now if before is None else {name: now[name] - before[name] for name in now}
