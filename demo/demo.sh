#!/usr/bin/env bash
# The main job, end to end, as a person would see it. Called by `make demo`; STRONGROOM names the program.
#   demo/demo.sh [FOLDER]     the vault goes to FOLDER (a new one under /tmp, removed at the end, unless given)
set -euo pipefail
cd "$(dirname "$0")/.."
strongroom=${STRONGROOM:-$PWD/build/release/bin/strongroom}
people=${DEMO_PEOPLE:-200000}
shared=${STRONGROOM_SHARED_DATA:-$PWD/../shared/data}
keep=${1:-}
work=$(mktemp -d /tmp/strongroom-demo.XXXXXX)
vault=${keep:-$work/vault}
server=
finish() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' plain=$'\e[0m'; else bold='' dim='' green='' plain=''; fi
title() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }
say() { printf '%s\n' "$1"; }
# Shows a command as one would type it, then runs it.
run() { printf '%s$ strongroom %s%s\n' "$dim" "$*" "$plain"; "$strongroom" "$@" 2>&1 | sed 's/^/  /'; return "${PIPESTATUS[0]}"; }
refused() { if run "$@"; then say "  ... and that should have been refused"; exit 1; fi; }
as() { export STRONGROOM_CREDENTIAL="$vault/credentials/$1.json"; }
# field 3 of the N-th generated person, and so on
field() { sed -n "$2p" "$work/people.csv" | cut -d, -f"$1"; }

title "1. A vault"
"$strongroom" init "$vault" --dev --name "demo registry" >/dev/null 2>&1
"$strongroom" serve "$vault" --listen 127.0.0.1:0 --json >"$work/serve.json" 2>"$work/serve.err" &
server=$!
for _ in $(seq 300); do [ -s "$work/serve.json" ] && break; kill -0 "$server" 2>/dev/null || { cat "$work/serve.err"; exit 1; }; sleep 0.1; done
say "  founded and serving: a gateway, and beside it a key server in a sandbox (seccomp, Landlock)"
as officer; run status

title "2. Records go in, sealed"
as operator
if [ -f "$shared/legislators.csv" ]; then
  say "Real data, made by nobody here: 537 public officials."
  run import legislator "$shared/legislators.csv" --key bioguide --empty-missing --rejects "$work/rejects.csv"
fi
say "And $people invented people, with incidents:"
"$strongroom" generate person "$people" --seed 7 >"$work/people.csv"
"$strongroom" generate incident "$((people / 20))" --seed 7 >"$work/incidents.csv"
start=$(date +%s%N)
run import person "$work/people.csv" --key national_id
elapsed_ms=$((($(date +%s%N) - start) / 1000000))
say "  in $((elapsed_ms / 1000)).$((elapsed_ms / 100 % 10)) s: $((people * 1000 / elapsed_ms)) people a second, sealed, five fields indexed, durable"
run import incident "$work/incidents.csv" --key report_no
say "The same file again changes nothing:"
run import person "$work/people.csv" --key national_id

phone_column=$(head -1 "$work/people.csv" | tr , '\n' | grep -n '^phone$' | cut -d: -f1)
name_column=$(head -1 "$work/people.csv" | tr , '\n' | grep -n '^name$' | cut -d: -f1)
id_column=$(head -1 "$work/people.csv" | tr , '\n' | grep -n '^national_id$' | cut -d: -f1)
phone=$(field "$phone_column" 4712); name=$(field "$name_column" 4712); id=$(field "$id_column" 4712)

title "3. A clerk looks somebody up, with a reason"
as clerk
run find person "phone=$phone" --purpose investigation --case A-2026-117 --explain
run find person "name=$name" --purpose service --fields name,phone --masked --limit 3
run find incident "reporter_phone=$phone" --purpose investigation --case A-2026-117
if [ -f "$shared/legislators.csv" ]; then
  run find legislator "official_full=maria  CANTWELL" --purpose service --fields official_full,phone
fi

title "4. What a clerk may not"
say "No case, no search:"
refused find person "phone=$phone" --purpose investigation
say "Not a purpose of this role:"
refused find person "phone=$phone" --purpose audit
say "One hundred records an hour, and a stolen credential gets no more. Walking through common names:"
got=0
for common in 王伟 李伟 张伟 王芳 李娜 王敏 李静 张敏 刘伟 王静 张静 李强; do
  out=$("$strongroom" find person "name=$common" --purpose service --limit 50 --json) || { why=$("$strongroom" find person "name=$common" --purpose service --limit 50 2>&1 || true); break; }
  got=$((got + $(python3 -c 'import json,sys; print(len(json.load(sys.stdin)["records"]))' <<<"$out")))
done
[ -n "${why:-}" ] || { say "  the budget was never reached"; exit 1; }
say "  after $got records:  $why"
say "And an auditor reads the log, but no record:"
as auditor
refused find person "phone=$phone" --purpose service

title "5. The log: every release, written before the key left"
run log tail -n 6
run log verify

title "6. A thief copies the store: its files, its write-ahead log"
cp -r "$vault/store" "$work/stolen"
say "  $(du -sh "$work/stolen" | cut -f1) carried off. Looking for what was just found in it:"
python3 - "$work/stolen" "$name" "$phone" "$id" <<'PYTHON'
import collections, gzip, math, os, sys, zlib
folder, planted = sys.argv[1], sys.argv[2:]
data = b"".join(open(os.path.join(d, f), "rb").read() for d, _, fs in os.walk(folder) for f in fs)
forms = {}
for value in planted:
    forms[value] = {e: value.encode(e) for e in ("utf-8", "gb18030", "utf-16-le", "utf-16-be")}
    if value.isdigit():
        forms[value]["integer"] = int(value).to_bytes(8, "little").rstrip(b"\0")
found = 0
for value, codings in forms.items():
    hits = [e for e, raw in codings.items() if raw in data]
    found += len(hits)
    print(f"    {value:20}  {'FOUND as ' + ', '.join(hits) if hits else 'not there: ' + ', '.join(codings)}")
# Anything that was compressed before it was written would inflate again.
inflated = 0
for magic, window in ((b"\x1f\x8b\x08", 31), (b"\x78\x9c", 15), (b"\x78\x01", 15), (b"\x78\xda", 15)):
    at = data.find(magic)
    while at >= 0:
        try:
            text = zlib.decompressobj(window).decompress(data[at:at + 65536], 1 << 20)
            if len(text) > 64:
                inflated += 1
                found += sum(raw in text for codings in forms.values() for raw in codings.values())
        except zlib.error:
            pass
        at = data.find(magic, at + 1)
sample = data[:: max(1, len(data) // 4_000_000)]
n = len(sample)
entropy = -sum(c / n * math.log2(c / n) for c in collections.Counter(sample).values())
print(f"    compressed streams in it: {inflated}; entropy {entropy:.2f} bits a byte, of 8")
sys.exit(1 if found else 0)
PYTHON
say "  What it does tell: how many records and index rows, when each file came, their sizes in steps. No value, no equality."

printf '\n%s%sDone.%s  What you saw: sealed, searched, metered, logged first - and nothing to carry off.\n' "$bold" "$green" "$plain"
[ -z "$keep" ] || say "The vault stays in $vault"
