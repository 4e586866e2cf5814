#!/usr/bin/env python3
"""Each kind of search beside PostgreSQL 15, with the indexes its users would make for it.

    bench/search.py [--records 1000000] [--repeat 15] [--build DIR] [--work DIR]

People and a third as many incidents, the same in both. A search is timed from the client over a kept TLS connection: ours
with its ticket checked, metered, logged and durable, the first 20 records opened; PostgreSQL's first 20 rows, and nothing of
the rest. Then the count of all matches, on both sides. Medians; "matches" are PostgreSQL's.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "test/e2e")]
import door  # noqa: E402
import peers  # noqa: E402
import postgres  # noqa: E402
import vault  # noqa: E402

PEOPLE = """
CREATE EXTENSION IF NOT EXISTS pg_trgm;
DROP TABLE IF EXISTS person;
CREATE TABLE person(name text, national_id text, phone text, dob date, address text);
CREATE INDEX ON person(name text_pattern_ops);
CREATE INDEX ON person USING gin(name gin_trgm_ops);
CREATE UNIQUE INDEX ON person(national_id text_pattern_ops);
CREATE INDEX ON person(phone text_pattern_ops);
CREATE INDEX ON person(dob);
CREATE INDEX ON person(address text_pattern_ops);
"""
INCIDENTS = """
DROP TABLE IF EXISTS incident;
CREATE TABLE incident(report_no text, date date, place text, category text, summary text, reporter_id text,
  reporter_phone text);
CREATE UNIQUE INDEX ON incident(report_no);
CREATE INDEX ON incident(date);
CREATE INDEX ON incident(place text_pattern_ops);
CREATE INDEX ON incident(category);
CREATE INDEX ON incident(reporter_id);
CREATE INDEX ON incident(reporter_phone);
CREATE INDEX ON incident USING gin(summary gin_trgm_ops);
"""
EQUALS, PREFIX, RANGE, FUZZY, WORDS = 0, 1, 2, 3, 4


def term(field, value, op=EQUALS, **more):
    return {"field": field, "value": value, "op": op, **more}


# What is asked, of whom: ours, and PostgreSQL's condition for the same answer (for a fuzzy name: what its users write).
QUERIES = [
    ("name, whole", "person", [term("name", "王伟")], "name = '王伟'"),
    ("name, prefix", "person", [term("name", "欧", PREFIX)], "name LIKE '欧%'"),
    ("phone, 7 digits", "person", [term("phone", "1380013", PREFIX)], "phone LIKE '1380013%'"),
    ("day of birth", "person", [term("dob", "1984-02-29", RANGE, valueTo="1984-02-29")], "dob = '1984-02-29'"),
    ("month of birth", "person", [term("dob", "1984-02", RANGE, valueTo="1984-02")],
     "dob BETWEEN '1984-02-01' AND '1984-02-29'"),
    ("surname and years", "person", [term("name", "王", PREFIX), term("dob", "1984", RANGE, valueTo="1984")],
     "name LIKE '王%' AND dob BETWEEN '1984-01-01' AND '1984-12-31'"),
    ("region and month", "person",
     [term("address", "云南省", PREFIX), term("dob", "1984-02", RANGE, valueTo="1984-02")],
     "address LIKE '云南省%' AND dob BETWEEN '1984-02-01' AND '1984-02-29'"),
    ("name, fuzzy", "person", [term("name", "王晓鸣", FUZZY)], "name % '王晓鸣'"),
    ("name, pinyin", "person", [term("name", "ouyang xiaoming", FUZZY)], None),
    ("one of two, not a third", "person",
     [term("name", "王伟", orValues=["李娜"]), term("dob", "1980", RANGE, valueTo="1989", negated=True)],
     "name IN ('王伟','李娜') AND NOT dob BETWEEN '1980-01-01' AND '1989-12-31'"),
    ("text, two words", "incident", [term("summary", "盗窃 平板电脑", WORDS)],
     "summary LIKE '%盗窃%' AND summary LIKE '%平板电脑%'"),
    ("text, one word of two characters", "incident", [term("summary", "项链", WORDS)], "summary LIKE '%项链%'"),
    ("text and a month", "incident",
     [term("summary", "盗窃", WORDS), term("date", "2024-02", RANGE, valueTo="2024-02")],
     "summary LIKE '%盗窃%' AND date BETWEEN '2024-02-01' AND '2024-02-29'"),
]


def say(text):
    print(text, file=sys.stderr, flush=True)


class Psql:
    """One psql, kept open, that times what it is told."""

    def __init__(self, cluster):
        self.process = subprocess.Popen([f"{postgres.BIN}/psql", "-XqAt", "-v", "ON_ERROR_STOP=1"], text=True,
                                        env=cluster.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ask("SET pg_trgm.similarity_threshold = 0.4")

    def ask(self, sql):
        """Rows, and milliseconds."""
        start = time.monotonic()
        self.process.stdin.write(sql + ";\n\\echo end-of-answer\n")
        self.process.stdin.flush()
        rows = []
        for line in self.process.stdout:
            if line == "end-of-answer\n":
                return rows, (time.monotonic() - start) * 1000
            rows.append(line.rstrip("\n"))
        raise peers.Failure("psql ended: " + sql[:60])

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def generate(program, collection, count, path):
    with open(path, "w", encoding="utf-8") as out:
        subprocess.run([program, "generate", collection, str(count)], stdout=out, check=True)
    with open(path, encoding="utf-8") as f:
        return f.readline().strip().split(",")


def median_of(repeat, call):
    return statistics.median(call() for _ in range(repeat))


def measure(options, folder):
    program = f"{options.build}/bin/strongroom"
    people, incidents = f"{folder}/people.csv", f"{folder}/incidents.csv"
    say(f"{options.records:,} people, {options.records // 3:,} incidents ...")
    columns = {"person": generate(program, "person", options.records, people),
               "incident": generate(program, "incident", options.records // 3, incidents)}
    out = {"people": options.records, "machine": peers.machine(), "import_s": {}, "queries": []}
    cluster = postgres.Cluster(f"{folder}/postgres")
    ours = vault.Vault(options.build, f"{folder}/vault", str(HERE / "policy.yaml"))
    try:
        cluster.start()
        ours.found()
        for name, path, schema in (("person", people, PEOPLE), ("incident", incidents, INCIDENTS)):
            cluster.sql(schema)
            cluster.sql("CHECKPOINT")
            theirs = peers.timed(lambda: cluster.sql(
                f"COPY {name}({', '.join(columns[name])}) FROM '{path}' WITH (FORMAT csv, HEADER true)"))
            cluster.sql(f"VACUUM ANALYZE {name}")
            mine = peers.timed(lambda: ours._as("operator", "import", name, path))
            out["import_s"][name] = {"postgres": theirs, "strongroom": mine}
            say(f"import of {name}: PostgreSQL {theirs:.1f} s, strongroom {mine:.1f} s")
        ours.settle()
        out["gateway_peak_bytes"] = peers.memory_bytes(ours.pids["gateway"], "VmHWM")
        out["bytes"] = {"postgres": {name: int(cluster.sql(f"SELECT pg_total_relation_size('{name}')"))
                                     for name in columns},
                        "strongroom": peers.allocated_bytes(f"{ours.folder}/store", (".log",))}
        out["queries"] = [query(options, *one, ours, cluster) for one in QUERIES]
    finally:
        ours.stop()
        cluster.stop()
    return out


def query(options, title, collection, terms, condition, ours, cluster):
    clerk = door.Door(f"{ours.folder}/credentials/clerk.json")
    number = {"person": 1, "incident": 2}[collection]

    def call(method, **more):
        start = time.monotonic()
        reply = clerk.call(method, {"ticket": clerk.ticket(number), "requestId": door.b64(os.urandom(16)),
                                    "terms": terms, **more})
        took = (time.monotonic() - start) * 1000
        if reply.status != 200:
            raise peers.Failure(f"{title}: {reply.json}")
        return reply.json, took
    row = {"query": title}
    answer, _ = call("Find", limit=20, explain=True)
    row["candidates"] = int(answer["explain"].get("candidates", 0))
    row["find_ms"] = median_of(options.repeat, lambda: call("Find", limit=20)[1])
    row["count"] = int(call("Count")[0].get("count", 0))
    row["count_ms"] = median_of(options.repeat, lambda: call("Count")[1])
    clerk.close()
    if condition:
        psql = Psql(cluster)
        row["postgres_count"] = int(psql.ask(f"SELECT count(*) FROM {collection} WHERE {condition}")[0][0])
        first = f"SELECT * FROM {collection} WHERE {condition} LIMIT 20"
        every = f"SELECT count(*) FROM {collection} WHERE {condition}"
        psql.ask(first)
        row["postgres_find_ms"] = median_of(options.repeat, lambda: psql.ask(first)[1])
        row["postgres_count_ms"] = median_of(options.repeat, lambda: psql.ask(every)[1])
        psql.close()
    say(f"{title}: {row}")
    return row


def table(result):
    lines = [f"{'query':34} {'matches':>9} {'ours':>9} {'first 20, ms':>14} {'PostgreSQL':>11} {'all, ms':>9} {'PostgreSQL':>11}"]
    for row in result["queries"]:
        theirs = [f"{row[k]:.2f}" if k in row else "-" for k in ("postgres_find_ms", "postgres_count_ms")]
        lines.append(f"{row['query']:34} {row.get('postgres_count', '-'):>9} {row['count']:>9} {row['find_ms']:>14.2f} "
                     f"{theirs[0]:>11} {row['count_ms']:>9.2f} {theirs[1]:>11}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--build", default=str(HERE.parent / "build/release"))
    parser.add_argument("--work", default="/var/tmp")
    options = parser.parse_args()
    if lacking := postgres.missing():
        sys.exit(f"bench: {lacking}")
    folder = tempfile.mkdtemp(prefix="strongroom-search-", dir=options.work)
    os.chmod(folder, 0o755)
    try:
        result = measure(options, folder)
    except peers.Failure as failure:
        sys.exit(f"bench: {failure}")
    finally:
        shutil.rmtree(folder)
    print(table(result))
    print(json.dumps({k: result[k] for k in ("import_s", "bytes", "gateway_peak_bytes", "machine")}, indent=1))


if __name__ == "__main__":
    main()
