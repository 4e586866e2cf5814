"""A private PostgreSQL 15 on loopback, durable as it comes, with the same people in it."""
import glob
import os
import pwd
import secrets
import shutil
import socket

import peers
from peers import Failure, run

BIN = "/usr/lib/postgresql/15/bin"
USER = "postgres"

# Memory and checkpoints only; fsync, synchronous_commit and full_page_writes stay as they come: on.
TUNING = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{socket}'
ssl = on
ssl_min_protocol_version = 'TLSv1.3'
max_connections = 100
shared_buffers = '{buffers_mb}MB'
effective_cache_size = '{cache_mb}MB'
maintenance_work_mem = '1GB'
work_mem = '128MB'
max_wal_size = '16GB'
checkpoint_timeout = '30min'
random_page_cost = 1.1
"""

PLAIN = """
DROP TABLE IF EXISTS person;
CREATE TABLE person(name text, national_id text, phone text, dob date, address text);
CREATE INDEX ON person(name);
CREATE UNIQUE INDEX ON person(national_id);
CREATE INDEX ON person(phone);
CREATE INDEX ON person(dob);
CREATE INDEX ON person(address);
"""
LOOKUP = "SELECT name, national_id, phone, dob, address FROM person WHERE phone = :phone;"

# The like: columns encrypted by pgcrypto, written inline (an SQL function around it is slower), blind indexes by
# HMAC, and in the same transaction an audit row and a budget row of the client's own.
# aes-cbc pads by PKCS unless told otherwise; to say so takes a colon, which pgbench would read as a variable.
FIELDS = ("name", "national_id", "phone", "dob", "address")
KEY = "decode('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f','hex')"
HMAC_KEY = "'0123456789abcdef0123456789abcdef'"


def _encrypt(field):
    return (f"(SELECT iv || encrypt_iv(convert_to({field}::text,'UTF8'),{KEY},iv,'aes-cbc') "
            f"FROM (SELECT gen_random_bytes(16) AS iv WHERE {field} IS NOT NULL) AS fresh)")


def _decrypt(field):
    return (f"convert_from(decrypt_iv(substr({field},17),{KEY},substr({field},1,16),'aes-cbc'),'UTF8')"
            f" AS {field}")


LIKE = f"""
CREATE EXTENSION IF NOT EXISTS pgcrypto;
DROP TABLE IF EXISTS sealed, audit, budget;
CREATE TABLE sealed(person_id bigint GENERATED ALWAYS AS IDENTITY, name bytea, national_id bytea, phone bytea,
  dob bytea, address bytea, phone_index bytea);
INSERT INTO sealed({', '.join(FIELDS)}, phone_index)
  SELECT {', '.join(map(_encrypt, FIELDS))}, hmac(phone,{HMAC_KEY},'sha256') FROM person;
CREATE INDEX ON sealed(phone_index);
CREATE TABLE audit(id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz DEFAULT now(), who text,
  purpose text, person_id bigint);
CREATE TABLE budget(principal int PRIMARY KEY, used bigint, lim bigint) WITH (fillfactor=10);
INSERT INTO budget SELECT g, 0, 1000000000 FROM generate_series(0,63) g;
"""
LIKE_LOOKUP = (
    "WITH b AS (UPDATE budget SET used = used + 1 WHERE principal = :client_id AND used < lim RETURNING 1), "
    f"r AS (SELECT person_id, {', '.join(map(_decrypt, FIELDS))} FROM sealed "
    f"WHERE phone_index = hmac(:phone::text,{HMAC_KEY},'sha256') AND EXISTS (SELECT 1 FROM b)), "
    "a AS (INSERT INTO audit(who, purpose, person_id) SELECT current_user, 'case-4711', person_id FROM r) "
    "SELECT * FROM r;")

DRAW = ("\\set i random(0, :n - 1)\n"
        "\\set phone 13000000000 + (:i * 4294967291 + 1234567) % 7000000000\n")


def missing():
    """What this machine lacks, as a sentence; None where all is there."""
    for name in ("initdb", "postgres", "pgbench", "psql"):
        if not os.path.exists(f"{BIN}/{name}"):
            return "PostgreSQL 15 is not installed: tools/install_packages.sh bench"
    if not os.path.exists("/usr/share/postgresql/15/extension/pgcrypto.control"):
        return "PostgreSQL's pgcrypto is not installed: tools/install_packages.sh bench"
    if shutil.which("openssl") is None:
        return "the openssl program is not installed: apt-get install openssl"
    if os.geteuid() == 0:
        try:
            pwd.getpwnam(USER)
        except KeyError:
            return f"there is no user {USER}, and PostgreSQL refuses to run as root: apt-get install postgresql"
    return None


def buffers_mb_default():
    return min(6144, (peers.machine()["memory_bytes"] >> 20) // 4)


class Cluster:
    """Owns its folder's processes; stop() ends them. The folder's remover is its owner."""

    def __init__(self, folder, buffers_mb=None):
        self.folder = folder
        self.buffers_mb = buffers_mb or buffers_mb_default()
        self.data = f"{folder}/data"
        self.root = os.geteuid() == 0
        self.password = secrets.token_hex(16)
        self.started = False
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.environment = dict(os.environ, PGHOST="127.0.0.1", PGPORT=str(self.port), PGUSER=USER,
                                PGDATABASE=USER, PGPASSWORD=self.password, PGSSLMODE="require",
                                LC_ALL="C.UTF-8")

    def start(self):
        os.mkdir(self.folder, 0o755)
        secret = f"{self.folder}/password"
        with open(secret, "w", encoding="utf-8") as f:
            f.write(self.password)
        self._own(self.folder, secret)
        self._as_user(f"{BIN}/initdb", "-D", self.data, "--locale=C.UTF-8", "-E", "UTF8", "-U", USER,
                      "-A", "scram-sha-256", "--pwfile", secret)
        os.unlink(secret)
        certificate, key = f"{self.data}/server.crt", f"{self.data}/server.key"
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
             "30", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate])
        os.chmod(key, 0o600)
        self._own(certificate, key)
        memory_mb = peers.machine()["memory_bytes"] >> 20
        with open(f"{self.data}/postgresql.conf", "a", encoding="utf-8") as f:
            f.write(TUNING.format(port=self.port, socket=self.folder, buffers_mb=self.buffers_mb,
                                  cache_mb=memory_mb * 2 // 3))
        self._as_user(f"{BIN}/pg_ctl", "-D", self.data, "-l", f"{self.folder}/server.log", "-w", "start")
        self.started = True
        if self.sql("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()") != "TLSv1.3":
            raise Failure("PostgreSQL does not speak TLS 1.3 here, so nothing would be comparable")

    def stop(self):
        if self.started:
            self._as_user(f"{BIN}/pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")
            self.started = False

    def pid(self):
        with open(f"{self.data}/postmaster.pid", encoding="utf-8") as f:
            return int(f.readline())

    def version(self):
        return self.sql("SHOW server_version")

    def durability(self):
        return {name: self.sql(f"SHOW {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")}

    def copy_people(self, csv_path, columns):
        """Seconds that COPY takes, run by the server itself on a file, into an empty table with its indexes."""
        self.sql(PLAIN)
        self.sql("CHECKPOINT")
        seconds = peers.timed(lambda: self.sql(
            f"COPY person({', '.join(columns)}) FROM '{csv_path}' WITH (FORMAT csv, HEADER true)"))
        self.sql("VACUUM ANALYZE person")
        self.sql("CHECKPOINT")
        return seconds

    def seal_people(self):
        self.sql(LIKE)
        self.sql("VACUUM ANALYZE sealed")
        self.sql("CHECKPOINT")

    def check_people(self, count):
        for row in (0, count // 2, count - 1):
            if self.sql(f"SELECT count(*) FROM person WHERE phone = '{peers.phone(row)}'") != "1":
                raise Failure("PostgreSQL does not find a person who was copied in")

    def sizes(self):
        return {"heap": int(self.sql("SELECT pg_table_size('person')")),
                "indexes": int(self.sql("SELECT pg_indexes_size('person')"))}

    def lookup(self, statement, people, clients, seconds):
        """pgbench's figures for one statement, prepared, over TLS."""
        script, log = f"{self.folder}/script.pgb", f"{self.folder}/latency"
        with open(script, "w", encoding="utf-8") as f:
            f.write(DRAW + statement + "\n")
        common = [f"{BIN}/pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", str(min(clients, 2)),
                  "-f", script, "-D", f"n={people}"]
        run(common + ["-T", "1"], env=self.environment)
        said = run(common + ["-T", str(seconds), "-l", "--sampling-rate=0.25", f"--log-prefix={log}"],
                   env=self.environment)
        figures = dict(line.split(" = ") for line in said.splitlines() if " = " in line)
        if "number of failed transactions: 0 " not in said:
            raise Failure("some of PostgreSQL's transactions failed")
        latencies = []
        for path in glob.glob(log + ".*"):
            with open(path, encoding="utf-8") as f:
                latencies += [int(line.split()[2]) for line in f]
            os.unlink(path)
        latencies.sort()
        return {"clients": clients, "per_second": float(figures["tps"].split()[0]),
                **{f"p{p}_us": float(latencies[len(latencies) * p // 100]) for p in (50, 95, 99)}}

    def sql(self, text):
        return run([f"{BIN}/psql", "-XqAt", "-v", "ON_ERROR_STOP=1"], input=text, env=self.environment).strip()

    def _as_user(self, *command):
        # Its output must not be a pipe of ours: the server would keep that open.
        with open(f"{self.folder}/commands.log", "a", encoding="utf-8") as out:
            peers.run_to((["runuser", "-u", USER, "--"] if self.root else []) + list(command), out, self.folder)

    def _own(self, *paths):
        if self.root:
            for path in paths:
                shutil.chown(path, USER, USER)
