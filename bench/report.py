"""Figures to judgements: what is promised, what was measured, and whether it holds."""
from peers import median

IMPORT_RATIO = 1.0
LOOKUP_RATIO = 0.5
LIKE_RATIO = 3.0
DISK_RATIO = 2.0
SOLO_SYNCS = 2         # A lookup waits for two: the token's entry, and the release's.
SOLO_EXTRA_US = 300
KEYSERVER_BYTES = 256 << 20
KEYSERVER_PEOPLE = 10_000_000
CLIENTS = (1, 8, 32)


def _ratio(rounds, numerator, denominator):
    """The median of the rounds' own ratios: only figures taken one after the other compare."""
    return median([numerator(r) / denominator(r) for r in rounds])


def judge(run):
    """Rows of the table: what, ours, theirs, measure, target, verdict."""
    people = run["people"]
    rows = []

    def row(what, ours, theirs, measure, target, holds):
        rows.append({"what": what, "ours": ours, "peer": theirs, "measured": measure, "target": target,
                     "verdict": "-" if holds is None else "PASS" if holds else "FAIL"})

    imports = run["import"]
    ratio = _ratio(imports, lambda r: r["postgres_s"], lambda r: r["strongroom"]["seconds"])
    row("import, people/s", f"{people / median([r['strongroom']['seconds'] for r in imports]):,.0f}",
        f"{people / median([r['postgres_s'] for r in imports]):,.0f}", f"{ratio:.2f}x", f">= {IMPORT_RATIO:.1f}x",
        ratio >= IMPORT_RATIO)

    for clients in CLIENTS:
        rounds = [r[str(clients)] for r in run["lookup"]]

        def speed(side):
            return lambda r: r[side]["per_second"]

        def shown(side):
            return (f"{median([r[side]['per_second'] for r in rounds]):,.0f}/s "
                    f"p50 {median([r[side]['p50_us'] for r in rounds]) / 1000:.2f} "
                    f"p99 {median([r[side]['p99_us'] for r in rounds]) / 1000:.2f} ms")
        plain, like = (_ratio(rounds, speed("strongroom"), speed(side)) for side in ("plain", "like"))
        solo = clients == 1
        row(f"lookup, {clients} client{'' if solo else 's'}, against plain", shown("strongroom"), shown("plain"),
            f"{plain:.2f}x", "" if solo else f">= {LOOKUP_RATIO:.1f}x (goal 1.0x)",
            None if solo else plain >= LOOKUP_RATIO)
        row(f"lookup, {clients} client{'' if solo else 's'}, against the like", "", shown("like"), f"{like:.2f}x",
            "" if solo else f">= {LIKE_RATIO:.1f}x", None if solo else like >= LIKE_RATIO)
        bare, bare_plain = (_ratio(rounds, speed(one), speed(other)) for one, other in (
            ("strongroom", "bare"), ("bare", "plain")))
        row("    the bare hand-overs and syncs of one", shown("bare"), "", f"{bare_plain:.2f}x plain; ours {bare:.2f}x of it",
            "", None)

    floor_us = median([r["fsync_p50_us"] for r in run["lookup"]]) * SOLO_SYNCS
    extra_us = median([r["1"]["strongroom"]["p50_us"] - SOLO_SYNCS * r["fsync_p50_us"] for r in run["lookup"]])
    row(f"lookup, 1 client, over its floor of {SOLO_SYNCS} fsyncs", f"p50 {(floor_us + extra_us) / 1000:.2f} ms",
        f"floor {floor_us / 1000:.2f} ms", f"+{extra_us / 1000:.2f} ms", f"<= +{SOLO_EXTRA_US / 1000:.1f} ms",
        extra_us <= SOLO_EXTRA_US)

    ours = sum(run["disk"]["strongroom"].values()) / people
    theirs = sum(run["disk"]["postgres"].values()) / people
    row("disk, bytes a person", f"{ours:.0f}", f"{theirs:.0f}", f"{ours / theirs:.2f}x", f"<= {DISK_RATIO:.1f}x",
        ours / theirs <= DISK_RATIO)
    for side in ("strongroom", "postgres"):
        for item, size in run["disk"][side].items():
            text = f"{size / people:.1f}"
            row(f"    {item}", text if side == "strongroom" else "", text if side == "postgres" else "", "", "", None)

    resident = run["keyserver_resident_bytes"]["after_import"]
    enough = people >= KEYSERVER_PEOPLE
    row(f"key server, resident at {people:,} people", f"{resident / 2**20:.0f} MiB", "", "",
        f"<= {KEYSERVER_BYTES >> 20} MiB at {KEYSERVER_PEOPLE:,}",
        resident <= KEYSERVER_BYTES if enough or resident > KEYSERVER_BYTES else None)
    row("    after the lookups", f"{run['keyserver_resident_bytes']['after_lookups'] / 2**20:.0f} MiB", "", "", "",
        None)
    return rows


def table(run):
    """The table people read."""
    columns = ("what", "ours", "peer", "measured", "target", "verdict")
    rows = [("", "strongroom", "PostgreSQL " + run["postgres_version"].split()[0], "", "target", "")]
    rows += [tuple(row[c] for c in columns) for row in judge(run)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    lines.append("")
    for clients in CLIENTS:
        cpu = [r[str(clients)]["strongroom"]["cpu_us"] for r in run["lookup"]]
        lines.append(f"processor time a lookup, {clients} clients: " + ", ".join(
            f"{name} {median([c[name] for c in cpu]):.1f} us" for name in cpu[0]))
    cpu = [r["strongroom"]["cpu_s"] for r in run["import"]]
    lines.append("processor time a person imported: " + ", ".join(
        f"{name} {median([c[name] for c in cpu]) / run['people'] * 1e6:.1f} us" for name in cpu[0]))
    lines.append(f"release log, bytes a lookup: {run['log_bytes_per_lookup']:.0f}")
    return "\n".join(lines)
