#!/usr/bin/env python3
"""Each kind of search beside PostgreSQL 15, with the indexes its users would make for it.

    bench/search.py [--records 1000000] [--steps 1] [--updates 0] [--repeat 15] [--build DIR] [--work DIR] [--out DIR]

People and a third as many incidents, the same in both. A search is timed from the client over a kept TLS connection: ours
with its ticket checked, metered, logged and durable, the first 20 records opened; PostgreSQL's first 20 rows, and nothing of
the rest. Then the count of all matches, on both sides. Medians; "matches" are PostgreSQL's.

With --steps the records come in so many parts, and everything is measured behind each: time per record and of each query
against their number. With --updates there are so many rounds in which 5 % of the people get another address, and the
queries are asked again. Lanes are merged in the background, as by default; queries wait for that to end. --out gets
search.json and curves as SVG.
"""
import argparse
import csv
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
import plot  # noqa: E402
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


def generate(program, collection, count, steps, folder):
    """The columns, and a CSV file of each step."""
    paths = [f"{folder}/{collection}-{step}.csv" for step in range(steps)]
    with subprocess.Popen([program, "generate", collection, str(count)], stdout=subprocess.PIPE, text=True,
                          encoding="utf-8") as made:
        head = made.stdout.readline()
        for step, path in enumerate(paths):
            with open(path, "w", encoding="utf-8") as out:
                out.write(head)
                for _ in range(count * (step + 1) // steps - count * step // steps):
                    out.write(made.stdout.readline())
    return head.strip().split(","), paths


def median_of(repeat, call):
    return statistics.median(call() for _ in range(repeat))


SCHEMAS = (("person", PEOPLE), ("incident", INCIDENTS))


def measure(options, folder):
    program = f"{options.build}/bin/strongroom"
    counts = {"person": options.records, "incident": options.records // 3}
    say(f"{counts['person']:,} people, {counts['incident']:,} incidents ...")
    made = {name: generate(program, name, counts[name], options.steps, folder) for name in counts}
    out = {"people": options.records, "machine": peers.machine(), "steps": []}
    cluster = postgres.Cluster(f"{folder}/postgres")
    ours = vault.Vault(options.build, f"{folder}/vault", str(HERE / "policy.yaml"))
    try:
        cluster.start()
        ours.found()
        for _, schema in SCHEMAS:
            cluster.sql(schema)
        for step in range(options.steps):
            out["steps"].append(one_step(options, step, counts, made, ours, cluster))
        if options.updates:
            out["updates"] = update(options, made["person"], folder, ours, cluster)
            ours.settle()
            out["updated"] = [query(options, *one, ours, cluster) for one in QUERIES]
        out["gateway_peak_bytes"] = peers.memory_bytes(ours.pids["gateway"], "VmHWM")
        out["compactor_peak_bytes"] = peers.memory_bytes(ours.pids["compactor"], "VmHWM")
        ours.stop()
        out["bytes"] = {"postgres": {name: relation_bytes(cluster, name) for name in counts},
                        "strongroom": ours.store_sizes()}
    finally:
        ours.stop()
        cluster.stop()
    return out


def one_step(options, step, counts, made, ours, cluster):
    done = {"people": counts["person"] * (step + 1) // options.steps, "import_us": {}}
    for name, count in counts.items():
        columns, paths = made[name]
        rows = count * (step + 1) // options.steps - count * step // options.steps
        cluster.sql("CHECKPOINT")
        theirs = peers.timed(lambda: cluster.sql(
            f"COPY {name}({', '.join(columns)}) FROM '{paths[step]}' WITH (FORMAT csv, HEADER true)"))
        cluster.sql(f"VACUUM ANALYZE {name}")
        mine = peers.timed(lambda: ours.as_("operator", "import", name, paths[step]))
        done["import_us"][name] = {"postgres": theirs / rows * 1e6, "strongroom": mine / rows * 1e6}
        say(f"import of {rows:,} {name}: PostgreSQL {theirs:.1f} s, strongroom {mine:.1f} s")
    say(f"merged within {ours.settle():.0f} s")
    done["queries"] = [query(options, *one, ours, cluster) for one in QUERIES]
    return done


def update(options, people, folder, ours, cluster):
    """Rounds in which a twentieth of the people move. Seconds of each, on both sides."""
    columns, paths = people
    at = columns.index("address")
    rounds = []
    for number in range(options.updates):
        path = f"{folder}/moved.csv"
        with open(path, "w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(columns)
            for source in paths:
                with open(source, encoding="utf-8", newline="") as f:
                    for row, values in enumerate(csv.reader(f)):
                        if row > 0 and row % 20 == number % 20:
                            values[at] += f"{number + 1}号"
                            writer.writerow(values)
        theirs = peers.timed(lambda: cluster.sql(
            f"CREATE TEMP TABLE moved(LIKE person); COPY moved({', '.join(columns)}) FROM '{path}' WITH (FORMAT csv, "
            "HEADER true); UPDATE person SET address = moved.address FROM moved "
            "WHERE person.national_id = moved.national_id"))
        mine = peers.timed(lambda: ours.as_("operator", "import", "person", path, "--key", "national_id"))
        say(f"round {number + 1} of updates: PostgreSQL {theirs:.1f} s, strongroom {mine:.1f} s")
        rounds.append({"postgres": theirs, "strongroom": mine})
    cluster.sql("VACUUM ANALYZE person")
    return rounds


def relation_bytes(cluster, name):
    rows = cluster.sql(f"SELECT indexrelid::regclass, pg_relation_size(indexrelid) FROM pg_index "
                       f"WHERE indrelid = '{name}'::regclass").splitlines()
    return {"heap": int(cluster.sql(f"SELECT pg_table_size('{name}')")),
            **{index: int(size) for index, size in (row.split("|") for row in rows)}}


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


def table(queries):
    lines = [f"{'query':34} {'matches':>9} {'ours':>9} {'first 20, ms':>14} {'PostgreSQL':>11} {'all, ms':>9} {'PostgreSQL':>11}"]
    for row in queries:
        theirs = [f"{row[k]:.2f}" if k in row else "-" for k in ("postgres_find_ms", "postgres_count_ms")]
        lines.append(f"{row['query']:34} {row.get('postgres_count', '-'):>9} {row['count']:>9} {row['find_ms']:>14.2f} "
                     f"{theirs[0]:>11} {row['count_ms']:>9.2f} {theirs[1]:>11}")
    return "\n".join(lines)


def report(result):
    steps = result["steps"]
    said = ["", "import, us a record, by people in it:"]
    for step in steps:
        said.append(f"{step['people']:>12,}  " + "   ".join(
            f"{name} {one['strongroom']:.1f}, PostgreSQL {one['postgres']:.1f} ({one['postgres'] / one['strongroom']:.1f}x)"
            for name, one in step["import_us"].items()))
    said += ["", table(steps[-1]["queries"])]
    if "updated" in result:
        said += ["", f"behind {len(result['updates'])} rounds of updates of 5 % each:", table(result["updated"])]
        ratios = [f"{after['query']} {after[k] / before[k]:.2f}x" for before, after in
                  zip(steps[-1]["queries"], result["updated"]) for k in ("find_ms",)]
        said.append("find, behind them against before: " + ", ".join(ratios))
    records = result["people"] + result["people"] // 3
    ours = result["bytes"]["strongroom"]
    theirs = {f"{table_name} {part}": size for table_name, parts in result["bytes"]["postgres"].items()
              for part, size in parts.items()}
    for who, sizes in (("strongroom", ours), ("PostgreSQL", theirs)):
        said += ["", f"{who}: {sum(sizes.values()) / records:.0f} bytes a record (people and incidents)"]
        said += [f"    {size / records:8.1f}  {part}" for part, size in sorted(sizes.items(), key=lambda one: -one[1])]
    said.append(f"ratio {sum(ours.values()) / sum(theirs.values()):.2f}x; gateway's peak "
                f"{result['gateway_peak_bytes'] >> 20} MiB, compactor's {result['compactor_peak_bytes'] >> 20} MiB")
    return "\n".join(said)


def curves(result, folder):
    steps = result["steps"]
    charts = {f"import-{name}": (f"Import of {name}: time per record", "us a record", {
        f"{who}{'*' if who == 'postgres' else ''}": [(s["people"], s["import_us"][name][who]) for s in steps]
        for who in ("strongroom", "postgres")}) for name, _ in SCHEMAS}
    for what, title in (("find_ms", "First 20 records"), ("count_ms", "All matches, counted")):
        for i, asked in enumerate(QUERIES):
            series = {"strongroom": [(s["people"], s["queries"][i][what]) for s in steps]}
            if f"postgres_{what}" in steps[0]["queries"][i]:
                series["postgres*"] = [(s["people"], s["queries"][i][f"postgres_{what}"]) for s in steps]
            charts[f"{what[:-3]}-{asked[0].replace(',', '').replace(' ', '-')}"] = (f"{title}: {asked[0]}", "ms", series)
    os.makedirs(folder, exist_ok=True)
    for name, (title, unit, series) in charts.items():
        with open(f"{folder}/{name}.svg", "w", encoding="utf-8") as out:
            out.write(plot.lines(title, "people in the collection", unit, series))
    with open(f"{folder}/search.json", "w", encoding="utf-8") as out:
        json.dump(result, out, indent=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--updates", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--build", default=str(HERE.parent / "build/release"))
    parser.add_argument("--work", default="/var/tmp")
    parser.add_argument("--out", default=str(HERE / "results/search"))
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
    curves(result, options.out)
    print(report(result))


if __name__ == "__main__":
    main()
