"""A vault of its own for a test: the real binary, started and driven as its users do.

    with Vault() as vault:
        vault.import_csv("person", text)
        status, out, err = vault.run("find", "person", "name=...", "--purpose", "service")

Everything lives in one temporary folder. Leaving the `with` ends every process by its id (SIGTERM, then kill),
checks that none is left, and removes the folder.
"""

import collections
import ctypes
import glob
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

try:
    import door
except ImportError:  # Only those who sign tickets by hand need `cryptography`.
    door = None
needs_door = unittest.skipUnless(door, "python3-cryptography is not installed")

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("STRONGROOM_BIN") or os.path.join(SOURCE, "build", "release", "bin", "strongroom")
START_S = 60  # A busy machine is slow; nothing here measures time.
COMMAND_S = 120
PR_SET_CHILD_SUBREAPER = 36

Outcome = collections.namedtuple("Outcome", "status stdout stderr")


def alive(pid):
    """Whether a process runs. One that has ended and waits for its parent does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def reap(pid):
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def wait_gone(pid, seconds):
    until = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    reap(pid)
    return not alive(pid)


def shown(data):
    """Bytes of an output as text for a failure's message."""
    return data.decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data


class Vault:
    """One folder, one `serve` at a time. Not for use from several threads, except run()."""

    def __init__(self, import_chunk=None, serve_options=()):
        if not BIN or not os.access(BIN, os.X_OK):
            raise unittest.SkipTest("STRONGROOM_BIN does not name the program to test")
        # Orphans of a killed `serve` come to us, so that their ends can be seen and none stays behind.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.base = tempfile.mkdtemp(prefix="strongroom-e2e-")
        self.dir = os.path.join(self.base, "v")
        self.import_chunk = import_chunk
        self.serve_options = list(serve_options)
        self.server = None
        self.pids = []  # Of all processes this vault ever started.
        self.doors = {}
        self.serve_output = os.path.join(self.base, "serve.out")

    # -- life -------------------------------------------------------------------------------------

    def __enter__(self):
        try:
            self.must("init", self.dir, "--dev", who=None)
            self.serve()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.stop()
            left = [pid for pid in self.pids if alive(pid)]
            for pid in left:
                os.kill(pid, signal.SIGKILL)
                wait_gone(pid, 10)
            if left:
                raise AssertionError(f"processes were left behind: {left}")
        finally:
            shutil.rmtree(self.base, ignore_errors=True)

    def start(self, env=None, restore_signals=True):
        """Starts `serve` without waiting for it."""
        assert self.server is None, "one at a time"
        command = [BIN, "serve", self.dir, "--listen", "127.0.0.1:0", "--json"]
        if self.import_chunk:
            command += ["--import-chunk", str(self.import_chunk)]
        command += self.serve_options
        log = os.open(self.serve_output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                       env={**os.environ, **(env or {})}, restore_signals=restore_signals)
        os.close(log)
        self.pids.append(self.server.pid)

    def serve(self, **options):
        """Starts `serve` and waits until it takes calls."""
        self.start(**options)
        line = self._first_line()
        if not self._started(line):
            self._wait()
            raise AssertionError(f"serve did not start: {self.serve_text()}")
        return self.ports

    def _started(self, line):
        """Whether the first line says where the doors are, rather than nothing or what went wrong."""
        said = json.loads(line) if line else {"error": None}
        if "error" in said:
            return False
        self.ports = said
        self.pids += self.children()
        return True

    def children(self):
        """Process ids of the `serve` that runs, or ran last; those of its helpers are 0 if there are none."""
        pids = [self.ports[name + "_pid"] for name in ("gateway", "keyserver", "compactor", "sender", "courier")]
        return [pid for pid in pids if pid]

    def _first_line(self):
        until = time.monotonic() + START_S
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.server.stdout], [], [], max(0, until - time.monotonic()))
            got = os.read(self.server.stdout.fileno(), 4096) if ready else b""
            if not got:
                break
            line += got
        with open(self.serve_output, "ab") as log:
            log.write(line)
        return line.decode() if line.endswith(b"\n") else ""

    def serve_refused(self, **options):
        """Starts a `serve` that must not come up. Its status and what it said."""
        before = len(self.serve_text())
        self.start(**options)
        line = self._first_line()
        started = self._started(line)
        status = None if started else self._wait()
        if started:
            self.stop()
        return Outcome(status, line, self.serve_text()[before:])

    def _wait(self):
        try:
            return self.server.wait(START_S)
        finally:
            self.server.stdout.close()
            self.server = None

    def wait_ended(self):
        """The exit status of a `serve` that ends by itself."""
        for door in self.doors.values():
            door.close()
        self.doors = {}
        return self._wait()

    def await_restart(self):
        """Waits until a `serve` that was sealed on command takes calls again: it says so in a further line."""
        before = self.children()
        self.ports = json.loads(self._first_line())
        self.pids += self.children()
        for door in self.doors.values():
            door.close()
        self.doors = {}
        left = [pid for pid in before if not wait_gone(pid, START_S)]
        assert not left, f"processes of before are left: {left}"

    def stop(self):
        """Ends `serve` as a person would. Its exit status."""
        if self.server is None:
            return None
        for door in self.doors.values():
            door.close()
        self.doors = {}
        self.server.send_signal(signal.SIGTERM)
        try:
            return self._wait()
        except subprocess.TimeoutExpired:
            raise AssertionError("serve did not end when told to")
        finally:
            for pid in self.pids:
                reap(pid)

    def restart(self, **options):
        self.stop()
        return self.serve(**options)

    def kill(self, which="serve"):
        """kill -9 of the whole of it, or of one of its processes: everything ends. `serve` must be started again."""
        if self.server is None:
            return
        pid = {"serve": self.server.pid, "gateway": self.ports["gateway_pid"],
               "keyserver": self.ports["keyserver_pid"]}[which]
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._wait()
        for child in self.children():
            if not wait_gone(child, START_S):
                raise AssertionError(f"process {child} outlived the {which} it belongs to")
        for door in self.doors.values():
            door.close()
        self.doors = {}

    def serve_text(self):
        """All that `serve` has ever said."""
        try:
            with open(self.serve_output, "rb") as file:
                return shown(file.read())
        except FileNotFoundError:
            return ""

    # -- commands ---------------------------------------------------------------------------------

    def credential(self, who):
        return who if os.sep in who else os.path.join(self.dir, "credentials", who + ".json")

    def popen(self, *args, who="clerk", **options):
        command = [BIN, *args]
        if who is not None:
            command += ["--credential", self.credential(who)]
        return subprocess.Popen(command, stdin=options.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, cwd=self.base, **options)

    def shifted_clock(self, seconds):
        """An environment in which a process sees another time of day."""
        if not shutil.which("cc"):
            raise unittest.SkipTest("no C compiler to shift the clock with")
        source = self.write("shift.c", """
            #define _GNU_SOURCE
            #include <dlfcn.h>
            #include <time.h>
            int clock_gettime(clockid_t clock, struct timespec* out) {
              static int (*real)(clockid_t, struct timespec*);
              if (real == 0) real = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
              const int result = real(clock, out);
              if (clock == CLOCK_REALTIME) out->tv_sec += SECONDS;
              return result;
            }
            time_t time(time_t* out) {  // OpenSSL's.
              struct timespec now;
              clock_gettime(CLOCK_REALTIME, &now);
              if (out) *out = now.tv_sec;
              return now.tv_sec;
            }
            """)
        library = self.path("shift.so")
        subprocess.run(["cc", "-shared", "-fPIC", f"-DSECONDS=({seconds})", "-o", library, source, "-ldl"], check=True)
        env = {"LD_PRELOAD": library}
        if self.run("version", who=None, env=env).status != 0:
            raise unittest.SkipTest("this build takes no preloaded library")
        return env

    def run(self, *args, who="clerk", stdin=None, env=None):
        """(status, stdout, stderr) of a command; the outputs are text."""
        process = self.popen(*args, who=who, env={**os.environ, **(env or {})},
                             stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE)
        try:
            out, err = process.communicate(stdin, COMMAND_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return Outcome(process.returncode, shown(out), shown(err))

    def must(self, *args, **options):
        outcome = self.run(*args, **options)
        if outcome.status != 0:
            raise AssertionError(f"{args[0]} ended with {outcome.status}: {outcome.stderr or outcome.stdout}")
        return outcome

    def json(self, *args, **options):
        return json.loads(self.must(*args, "--json", **options).stdout)

    def path(self, name):
        return os.path.join(self.base, name)

    def write(self, name, data):
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
        return path

    def generate(self, collection, count, seed=1, form="csv"):
        return self.must("generate", collection, str(count), "--seed", str(seed), "--format", form, who=None).stdout

    def import_file(self, collection, path, *args, who="operator"):
        return self.json("import", collection, path, *args, who=who)

    def import_csv(self, collection, text, *args, name="rows.csv"):
        return self.import_file(collection, self.write(name, text), *args)

    def find(self, collection, *terms, who="clerk", purpose="investigation", case="A-2026-117", limit=20):
        return self.json("find", collection, *terms, "--purpose", purpose, "--case", case, "--limit", str(limit),
                         who=who)

    def count(self, collection, *terms, who="clerk", purpose="investigation", case="A-2026-117"):
        return self.json("count", collection, *terms, "--purpose", purpose, "--case", case, who=who)["count"]

    def door(self, who="clerk"):
        """A keep-alive HTTPS client of the gateway, in Python. Needs `cryptography`."""
        if who not in self.doors:
            self.doors[who] = door.Door(self.credential(who))
        return self.doors[who]

    def approve(self, request):
        """Two approvers sign it, and it is done. 0: there is nothing to sign."""
        if int(request):
            for who in ("approver1", "approver2"):
                state = self.json("approve", str(request), "--yes", who=who)["state"]
            assert state == "done", state

    def apply_policy(self, name, text):
        """The policy in this text, approved where it widens access. What `policy apply` said."""
        applied = self.json("policy", "apply", self.write(name, text), who="officer")
        self.approve(applied["request"])
        return applied

    def add_principal(self, name, role):
        """Somebody new, with a key of their own. The path of their credential."""
        key, credential = self.path(name + ".key"), self.path(name + ".json")
        self.must("key", "new", "-o", key, who=None)
        self.approve(self.json("principal", "add", name, "--role", role, "--public-key", key + ".pub", "-o",
                               credential, who="operator")["request"])
        return credential

    def allow_export(self, per_day=10**6):
        """The operator may export people for "exports", as far as several approve it."""
        def numbers(value):  # JSON has them as texts, YAML as numbers.
            if isinstance(value, dict):
                return {name: numbers(inner) for name, inner in value.items()}
            if isinstance(value, list):
                return [numbers(inner) for inner in value]
            return int(value) if isinstance(value, str) and value.isdigit() else value

        policy = numbers(self.json("policy", "show", who="officer"))
        policy["purposes"].append({"name": "exports"})
        next(role for role in policy["roles"] if role["name"] == "operator")["grants"].append({
            "collection": "person", "purposes": ["exports"], "groups": ["identity", "contact"],
            "actions": ["EXPORT"], "budget": {"exported_per_day": per_day}})
        self.apply_policy("policy.yaml", json.dumps(policy))

    def raise_budgets(self, records_per_query=1000):
        """A policy in which the clerk's budgets are no limit: for tests of something else."""
        policy = self.json("policy", "show", who="officer")
        policy.pop("limits", None)
        for role in policy["roles"]:
            for grant in role["grants"]:
                budget = {name: int(most) for name, most in grant["budget"].items()}
                if role["name"] == "clerk":
                    grant["records_per_query"] = records_per_query
                    budget = {name: 10**9 for name in budget if not name.startswith("writes")}
                grant["budget"] = budget
        # JSON is YAML.
        self.apply_policy("policy.yaml", json.dumps(policy))


def files_below(folder):
    """Every file below a folder, with its bytes; what vanishes meanwhile is left out."""
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            try:
                with open(path, "rb") as file:
                    yield path, file.read()
            except (FileNotFoundError, OSError):
                continue


class Restored(Vault):
    """A vault in a folder that `restore` made of a backup of another. It comes with no credentials: those of the old one go on, at its doors."""

    def __init__(self, of, name):
        super().__init__()
        shutil.rmtree(self.base)
        self.base, self.of = of.base, of
        self.dir = of.path(name)
        self.serve_output = of.path(name + ".out")

    def __enter__(self):
        # `serve` points the credentials that lie in its folder to its doors.
        for path in glob.glob(os.path.join(self.of.dir, "credentials", "*.json")):
            shutil.copy(path, os.path.join(self.dir, "credentials"))
        self.serve()
        return self

    def told_of(self, origin):
        """Those who check the log are told that it goes on as another."""
        for path in glob.glob(os.path.join(self.dir, "credentials", "*.json")):
            with open(path, encoding="utf-8") as file:
                credential = json.load(file)
            with open(path, "w", encoding="utf-8") as file:
                json.dump({**credential, "log_origin": origin}, file)

    def close(self):
        self.stop()


def fingerprint(folder):
    """Names and contents of a folder: equal before and after means that nothing was changed."""
    return {path: data for path, data in files_below(folder)}


def seed_from(text):
    """A seed, printed so that a failure can be repeated."""
    seed = int(text) if text else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", file=sys.stderr, flush=True)
    return seed


def national_id(region, birth, sequence):
    """An ID number that GB 11643 accepts."""
    body = f"{region:06d}{birth}{sequence:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(w * int(d) for w, d in zip(weights, body)) % 11]
