#!/usr/bin/env python3
"""Each kind of search beside PostgreSQL 15, with the indexes its users would make for it.

    bench/search.py [--records 1000000] [--steps 1] [--updates 0] [--repeat 15] [--memory MIB]
                    [--merge-rate N] [--alone] [--build DIR] [--work DIR] [--out DIR]

People and a third as many incidents, the same in both. A search is timed from the client over a kept TLS connection, in
three ways: the first 20 records, and nothing of the rest; the count of all matches; and all rows, every matching record
received, where there are at most 20,000. Ours is asked by bench_query_load, its ticket checked, metered, logged and
durable, each record opened; PostgreSQL by psql. Medians; "matches" are PostgreSQL's, and a ratio is ours by PostgreSQL's.

Both get the same memory, --memory (a quarter of the machine's, at most 6,144 MiB): PostgreSQL as shared_buffers, our
gateway as `serve --memory`. Either has more beside it: PostgreSQL work_mem for each sort, ours the compactor's quarter.

With --steps the records come in parts, so many or up to each of some numbers of people (1000000,2500000,10000000; the last
is --records), and everything is measured behind each: time per record and of each query against their number. With
--updates there are so many rounds in which 5 % of the people get another address, and the queries are asked again. Lanes
are merged in the background, as by default; queries wait for that to end, which --merge-rate 0 makes sooner. --out gets
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
ALL_ROWS_MAX = 20_000  # More is a job for an export.
INCIDENT_EACH = 3      # People.
WAYS = (("find", "first 20"), ("count", "count"), ("all", "all rows"))


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

    END = b"end-of-answer\n"

    def __init__(self, cluster):
        self.process = subprocess.Popen([f"{postgres.BIN}/psql", "-XqAt", "-v", "ON_ERROR_STOP=1"], bufsize=0,
                                        env=cluster.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ask("SET pg_trgm.similarity_threshold = 0.4")

    def ask(self, sql):
        """Rows, and milliseconds until psql has written the last of them."""
        told = f"{sql};\n\\echo ".encode() + self.END
        answer = bytearray()
        start = time.monotonic()
        self.process.stdin.write(told)
        while not answer.endswith(self.END):
            some = self.process.stdout.read(1 << 20)
            if not some:
                raise peers.Failure("psql ended: " + sql[:60])
            answer += some
        took = (time.monotonic() - start) * 1000
        # Lines only now, so that Python's time for them is not counted as PostgreSQL's.
        return answer[:-len(self.END)].decode().split("\n")[:-1], took

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def steps_of(text, records):
    """People behind each step: of so many equal parts, or as listed."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise peers.Failure("--steps takes a number of parts, or numbers of people as in 1000000,10000000") from None
    if len(numbers) == 1 and numbers[0] != records:
        numbers = [records * (step + 1) // max(1, numbers[0]) for step in range(numbers[0])]
    if not numbers or numbers[-1] != records:
        raise peers.Failure("the last of --steps must be --records, which is how many people there are in the end")
    if any(after - before < INCIDENT_EACH for before, after in zip([0] + numbers, numbers)):
        raise peers.Failure(f"each of --steps must be {INCIDENT_EACH} people more than the one before: an incident's worth")
    return numbers


def generate(program, collection, marks, folder):
    """The columns, and a CSV file of each step; `marks` are the records behind each."""
    paths = [f"{folder}/{collection}-{step}.csv" for step in range(len(marks))]
    with subprocess.Popen([program, "generate", collection, str(marks[-1])], stdout=subprocess.PIPE, text=True,
                          encoding="utf-8") as made:
        head = made.stdout.readline()
        for path, count in zip(paths, parts(marks)):
            with open(path, "w", encoding="utf-8") as out:
                out.write(head)
                for _ in range(count):
                    out.write(made.stdout.readline())
    return head.strip().split(","), paths


def parts(marks):
    return [after - before for before, after in zip([0] + marks, marks)]


def median_of(repeat, call):
    return statistics.median_low(call() for _ in range(repeat))  # As bench_query_load has it.


SCHEMAS = (("person", PEOPLE), ("incident", INCIDENTS))


def measure(options, folder):
    program = f"{options.build}/bin/strongroom"
    marks = {"person": options.steps, "incident": [people // INCIDENT_EACH for people in options.steps]}
    say(f"{marks['person'][-1]:,} people, {marks['incident'][-1]:,} incidents ...")
    made = {name: generate(program, name, marks[name], folder) for name in marks}
    out = {"people": options.records, "memory_mib": options.memory, "machine": peers.machine(), "steps": []}
    cluster = None if options.alone else postgres.Cluster(f"{folder}/postgres", options.memory)
    ours = vault.Vault(options.build, f"{folder}/vault", str(HERE / "policy.yaml"),
                       ["--memory", str(options.memory), "--merge-rate", str(options.merge_rate)])
    try:
        ours.found()
        if cluster:
            cluster.start()
            for _, schema in SCHEMAS:
                cluster.sql(schema)
        for step in range(len(options.steps)):
            out["steps"].append(one_step(options, step, marks, made, ours, cluster))
        if options.updates:
            out["updates"] = update(options, made["person"], folder, ours, cluster)
            ours.settle()
            out["updated"] = [query(options, *one, ours, cluster) for one in QUERIES]
        out["gateway_peak_bytes"] = peers.memory_bytes(ours.pids["gateway"], "VmHWM")
        out["compactor_peak_bytes"] = peers.memory_bytes(ours.pids["compactor"], "VmHWM")
        ours.stop()
        out["bytes"] = {"strongroom": ours.store_sizes()}
        if cluster:
            out["bytes"]["postgres"] = {name: relation_bytes(cluster, name) for name in marks}
    finally:
        ours.stop()
        if cluster:
            cluster.stop()
    return out


def one_step(options, step, marks, made, ours, cluster):
    done = {"people": marks["person"][step], "import_us": {}}
    for name in marks:
        columns, paths = made[name]
        rows = parts(marks[name])[step]
        seconds = {}
        if cluster:
            cluster.sql("CHECKPOINT")
            seconds["postgres"] = peers.timed(lambda: cluster.sql(
                f"COPY {name}({', '.join(columns)}) FROM '{paths[step]}' WITH (FORMAT csv, HEADER true)"))
            cluster.sql(f"VACUUM ANALYZE {name}")
        seconds["strongroom"] = peers.timed(lambda: ours.as_("operator", "import", name, paths[step]))
        done["import_us"][name] = {who: each / rows * 1e6 for who, each in seconds.items()}
        say(f"import of {rows:,} {name}: " + ", ".join(f"{who} {each:.1f} s" for who, each in seconds.items()))
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
        theirs = 0 if not cluster else peers.timed(lambda: cluster.sql(
            f"CREATE TEMP TABLE moved(LIKE person); COPY moved({', '.join(columns)}) FROM '{path}' WITH (FORMAT csv, "
            "HEADER true); UPDATE person SET address = moved.address FROM moved "
            "WHERE person.national_id = moved.national_id"))
        mine = peers.timed(lambda: ours.as_("operator", "import", "person", path, "--key", "national_id"))
        say(f"round {number + 1} of updates: PostgreSQL {theirs:.1f} s, strongroom {mine:.1f} s")
        rounds.append({"postgres": theirs, "strongroom": mine})
    if cluster:
        cluster.sql("VACUUM ANALYZE person")
    return rounds


def relation_bytes(cluster, name):
    rows = cluster.sql(f"SELECT indexrelid::regclass, pg_relation_size(indexrelid) FROM pg_index "
                       f"WHERE indrelid = '{name}'::regclass").splitlines()
    return {"heap": int(cluster.sql(f"SELECT pg_table_size('{name}')")),
            **{index: int(size) for index, size in (row.split("|") for row in rows)}}


def query(options, title, collection, terms, condition, ours, cluster):
    row = {"query": title, "candidates": candidates(title, collection, terms, ours)}
    if row["candidates"] is None:
        say(f"{title}: refused as too broad")
        return row
    theirs = {}
    if condition and cluster:
        theirs = {"find": f"SELECT * FROM {collection} WHERE {condition} LIMIT 20",
                  "count": f"SELECT count(*) FROM {collection} WHERE {condition}",
                  "all": f"SELECT * FROM {collection} WHERE {condition}"}

    def asked(*methods):
        return ours.ask({"collection": collection, "terms": terms, "method": method, "limit": 20,
                         "repeat": options.repeat} for method in methods)
    find, count = asked("find", "count")
    row["find_ms"], row["count_ms"], row["count"] = find["p50_ms"], count["p50_ms"], count["matches"]
    if theirs:
        psql = Psql(cluster)
        row["postgres_count"] = int(psql.ask(theirs["count"])[0][0])
    if max(row["count"], row.get("postgres_count", 0)) > ALL_ROWS_MAX:
        theirs.pop("all", None)
    else:
        every, = asked("all")
        if every["matches"] != row["count"]:
            raise peers.Failure(f"{title}: {every['matches']} records received, {row['count']} counted; please report this")
        row["all_ms"] = every["p50_ms"]
    for method, sql in theirs.items():
        rows, _ = psql.ask(sql)
        if method == "all" and len(rows) != row["postgres_count"]:
            raise peers.Failure(f"{title}: PostgreSQL sent {len(rows)} rows of {row['postgres_count']}")
        row[f"postgres_{method}_ms"] = round(median_of(options.repeat, lambda: psql.ask(sql)[1]), 4)
    if condition and cluster:
        psql.close()
    say(f"{title}: {row}")
    return row


def candidates(title, collection, terms, ours):
    """Matches by our index, before their rows were read; None where it refuses to read so many postings."""
    clerk = door.Door(f"{ours.folder}/credentials/clerk.json")
    number = {"person": 1, "incident": 2}[collection]
    reply = clerk.call("Find", {"ticket": clerk.ticket(number), "requestId": door.b64(os.urandom(16)), "terms": terms,
                                "limit": 20, "explain": True})
    clerk.close()
    if reply.json.get("code") == "out_of_range":
        return None
    if reply.status != 200:
        raise peers.Failure(f"{title}: {reply.json}")
    return int(reply.json["explain"].get("candidates", 0))


def table(queries):
    lines = [f"{'':52}" + "".join(f"{said + ', ms':>28}" for _, said in WAYS),
             f"{'query':34}{'matches':>9}{'ours':>9}" + f"{'ours':>10}{'PostgreSQL':>11}{'ratio':>7}" * len(WAYS)]
    for row in queries:
        line = f"{row['query']:34}{row.get('postgres_count', '-'):>9}{row.get('count', 'refused'):>9}"
        for way, _ in WAYS:
            mine, theirs = row.get(f"{way}_ms"), row.get(f"postgres_{way}_ms")
            line += f"{shown(mine):>10}{shown(theirs):>11}{shown(theirs and mine / theirs):>7}"
        lines.append(line)
    return "\n".join(lines)


def shown(number):
    return "-" if number is None else f"{number:.2f}"


def behind_updates(before, after):
    """How much longer each query takes than before the updates."""
    lines = [f"{'behind them against before':34}" + "".join(f"{said:>10}" for _, said in WAYS)]
    for old, new in zip(before, after):
        ratios = [new[key] / old[key] if key in old and key in new else None
                  for key in (f"{way}_ms" for way, _ in WAYS)]
        lines.append(f"{new['query']:34}" + "".join(f"{shown(ratio):>10}" for ratio in ratios))
    return "\n".join(lines)


def report(result):
    steps = result["steps"]
    said = ["", "import, us a record, by people in it:"]
    for step in steps:
        said.append(f"{step['people']:>12,}  " + "   ".join(
            f"{name} {one['strongroom']:.1f}" + (
                f", PostgreSQL {one['postgres']:.1f} ({one['postgres'] / one['strongroom']:.1f}x)" if "postgres" in one else "")
            for name, one in step["import_us"].items()))
    said += ["", table(steps[-1]["queries"])]
    if "updated" in result:
        said += ["", f"behind {len(result['updates'])} rounds of updates of 5 % each:", table(result["updated"])]
        said += ["", behind_updates(steps[-1]["queries"], result["updated"])]
    records = result["people"] + result["people"] // 3
    ours = result["bytes"]["strongroom"]
    theirs = {f"{table_name} {part}": size for table_name, parts in result["bytes"].get("postgres", {}).items()
              for part, size in parts.items()}
    for who, sizes in (("strongroom", ours), ("PostgreSQL", theirs)):
        said += ["", f"{who}: {sum(sizes.values()) / records:.0f} bytes a record (people and incidents)"]
        said += [f"    {size / records:8.1f}  {part}" for part, size in sorted(sizes.items(), key=lambda one: -one[1])]
    said.append((f"ratio {sum(ours.values()) / sum(theirs.values()):.2f}x; " if theirs else "") + "gateway's peak "
                f"{result['gateway_peak_bytes'] >> 20} MiB, compactor's {result['compactor_peak_bytes'] >> 20} MiB")
    return "\n".join(said)


def curves(result, folder):
    steps = result["steps"]
    charts = {f"import-{name}": (f"Import of {name}: time per record", "us a record", {
        f"{who}{'*' if who == 'postgres' else ''}": [(s["people"], s["import_us"][name][who]) for s in steps]
        for who in steps[0]["import_us"][name]}) for name, _ in SCHEMAS}
    for way, title in WAYS:
        for i, asked in enumerate(QUERIES):
            series = {who: [(s["people"], s["queries"][i][key]) for s in steps if key in s["queries"][i]]
                      for who, key in (("strongroom", f"{way}_ms"), ("postgres*", f"postgres_{way}_ms"))}
            series = {who: points for who, points in series.items() if points}
            if series:
                name = f"{way}-{asked[0].replace(',', '').replace(' ', '-')}"
                charts[name] = (f"{title.capitalize()}: {asked[0]}", "ms", series)
    os.makedirs(folder, exist_ok=True)
    for name, (title, unit, series) in charts.items():
        with open(f"{folder}/{name}.svg", "w", encoding="utf-8") as out:
            out.write(plot.lines(title, "people in the collection", unit, series))
    with open(f"{folder}/search.json", "w", encoding="utf-8") as out:
        json.dump(result, out, indent=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--steps", default="1")
    parser.add_argument("--updates", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--memory", type=int, default=postgres.buffers_mb_default(), metavar="MIB")
    parser.add_argument("--alone", action="store_true", help="without PostgreSQL, which takes an hour for ten million")
    parser.add_argument("--merge-rate", type=int, default=250_000, metavar="N",
                        help="serve --merge-rate: postings a second; 0: no limit")
    parser.add_argument("--build", default=str(HERE.parent / "build/release"))
    parser.add_argument("--work", default="/var/tmp")
    parser.add_argument("--out", default=str(HERE / "results/search"))
    options = parser.parse_args()
    if min(options.records, options.repeat) < 1 or options.updates < 0:
        parser.error("--records and --repeat are 1 or more, --updates 0 or more")
    if options.memory < 128:
        parser.error("--memory is 128 MiB or more: `strongroom serve` takes no less")
    try:
        options.steps = steps_of(options.steps, options.records)
    except peers.Failure as failure:
        parser.error(str(failure))
    if lacking := postgres.missing():
        sys.exit(f"bench: {lacking}")
    for program in ("bin/strongroom", "bench/bench_query_load", "bench/bench_store_sizes"):
        if not os.access(f"{options.build}/{program}", os.X_OK):
            sys.exit(f"bench: {options.build}/{program} is not built: ninja -C {options.build} bench_programs")
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
