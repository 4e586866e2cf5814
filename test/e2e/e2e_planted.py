"""Planted values: after imports, searches, refusals and mistakes, none is anywhere in what a thief could carry off.

Searched raw, in the encodings people use, in hex and base64, in both orders of bytes, and inside zlib and gzip.
"""

import base64
import gzip
import json
import os
import shutil
import stat
import unittest
import zlib

from vault import Vault, files_below, national_id

PEOPLE = [
    {"name": "欧阳琼霄子", "national_id": national_id(530423, "19630719", 613), "phone": "18679305142", "dob": "1963-07-19",
     "address": "云南省玉溪市通海县葫芦巷九十七弄"},
    {"name": "Zebulon Quixworthy", "national_id": national_id(230833, "20010228", 847), "phone": "15904817263",
     "dob": "2001-02-28", "address": "17 Farthingale Mews, Porthcurno"},
]
INCIDENT = {"report_no": "QX-7719-ZEBU", "date": "2022-06-30", "place": "葫芦巷派出所", "category": "盗窃",
            "summary": "其称放在门口的一只蓝色陶瓷水獭摆件被一名戴草帽的男子抱走", "reporter_id": PEOPLE[0]["national_id"],
            "reporter_phone": PEOPLE[0]["phone"]}
CASE = "CASE-OTTER-31415"
ABSENT = {"phone": "17012349876", "name": "未登记之人欧冶"}  # Searched for, but nobody's.
REFUSED = "戴草帽的拒绝者"                                      # In a row that is refused.


def secrets():
    """What must not be found: every value, and what normalising makes of it."""
    values = [INCIDENT["summary"], INCIDENT["summary"][4:16], INCIDENT["report_no"], INCIDENT["place"], REFUSED,
              *ABSENT.values()]
    for person in PEOPLE:
        values += [person["name"], person["national_id"], person["phone"], "+86" + person["phone"], person["address"]]
    values.append(CASE)
    return sorted(set(values) | {value.lower() for value in values})


def spellings(value):
    """The bytes a value may be written in."""
    out = set()
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "gb18030"):
        raw = value.encode(encoding)
        out |= {raw, raw[::-1]}
    raw = value.encode()
    out |= {raw.hex().encode(), raw.hex().upper().encode(), json.dumps(value).strip('"').encode()}
    # base64 at each of the three places its groups may begin; without the characters that neighbours decide.
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + raw)
        out.add(text[4 if shift else 0:][:len(text) // 4 * 4 - 8])
    if value.lstrip("+").isdigit() and len(value) < 19:
        number = int(value)
        out |= {number.to_bytes(8, "little"), number.to_bytes(8, "big")}
    return {piece for piece in out if len(piece) >= 6}


def unpacked(data):
    """What zlib, gzip or raw deflate streams in the data unpack to."""
    for at in range(len(data) - 2):
        if data[at:at + 2] in (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"):
            stream = zlib.decompressobj(47)
            try:
                out = stream.decompress(data[at:], 1 << 20)
            except zlib.error:
                continue
            if len(out) > 16:
                yield out


class Planted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vault = vault = cls.enterClassContext(Vault())
        people = vault.generate("person", 5000, seed=3).splitlines()
        for at, person in zip((1234, 3999), PEOPLE):
            people.insert(at, ",".join(f'"{value}"' for value in person.values()))
        vault.import_csv("person", "\n".join(people) + "\n", name="people.csv")
        incidents = vault.generate("incident", 500, seed=3, form="ndjson").splitlines()
        incidents.insert(250, json.dumps(INCIDENT, ensure_ascii=False))
        vault.import_file("incident", vault.write("incidents.ndjson", "\n".join(incidents) + "\n"))
        # By --key, so that unique values and an update are exercised too; and a row that is refused.
        changed = {**PEOPLE[1], "address": "18 Farthingale Mews, Porthcurno"}
        vault.import_csv("person", ",".join(PEOPLE[0]) + "\n" + ",".join(f'"{v}"' for v in changed.values()) + "\n" +
                         f"{REFUSED},{PEOPLE[0]['national_id'][:-1]},{PEOPLE[0]['phone']},1963-07-19,x\n", "--key",
                         "national_id",
                         name="changed.csv")
        cls.said = []
        vault.raise_budgets()
        cls.search()
        vault.restart()
        cls.search()
        cls.said.append(vault.must("log", "tail", "-n", "1000", who="auditor").stdout.replace(CASE, ""))
        cls.said.append(vault.must("status", "--json", who="officer").stdout)

    @classmethod
    def search(cls):
        """Searches of all kinds that find something, and keeps what the others say."""
        vault = cls.vault
        for person in PEOPLE:
            for field in ("name", "national_id", "phone", "dob"):
                found = vault.find("person", f"{field}={person[field]}", case=CASE, limit=100)["records"]
                assert person["national_id"] in [r["fields"]["national_id"] for r in found], field
        assert vault.find("person", f"address={PEOPLE[0]['address']}", case=CASE)["records"]
        assert vault.find("incident", f"report_no={INCIDENT['report_no']}", case=CASE)["records"]
        assert vault.count("incident", f"reporter_phone={INCIDENT['reporter_phone']}", case=CASE) == 1
        for field, value in ABSENT.items():
            assert vault.find("person", f"{field}={value}", case=CASE)["records"] == []
        refused = [["find", "person", f"phone={PEOPLE[0]['phone']}x", "--purpose", "service"],
                   ["find", "person", f"phone={PEOPLE[0]['phone']}", "--purpose", "curiosity"],
                   ["find", "person", f"{PEOPLE[0]['name']}=1", "--purpose", "service"],
                   ["find", "person", f"dob={PEOPLE[0]['name']}", "--purpose", "service"],
                   ["find", "person", f"national_id={PEOPLE[0]['national_id'][:-1]}", "--purpose", "service", "--json"],
                   ["find", "incident", f"summary={INCIDENT['summary']}", "--purpose", "service"],
                   ["get", "person", PEOPLE[0]["phone"], "--purpose", "service"]]
        for command in refused:
            outcome = vault.run(*command)
            assert outcome.status == 1, command
            cls.said += [outcome.stdout, outcome.stderr]
        for who in ("auditor", "operator"):
            outcome = vault.run("find", "person", f"phone={PEOPLE[0]['phone']}", "--purpose", "service", who=who)
            assert outcome.status == 1
            cls.said += [outcome.stdout, outcome.stderr]

    def assert_nothing_planted(self, name, data):
        for value in secrets():
            for piece in spellings(value):
                self.assertNotIn(piece, data, f"{value!r} is in {name}")

    def test_the_search_finds_what_is_there(self):
        """The detector itself: a value hidden in any of these ways is seen."""
        value = PEOPLE[0]["name"]
        for hidden in (value.encode(), value.encode("gb18030"), value.encode("utf-16-le"),
                       b"xx" + base64.b64encode(value.encode()),
                       base64.b64encode(b"ab" + value.encode() + b"cd"), value.encode().hex().encode()):
            self.assertTrue(any(piece in hidden for piece in spellings(value)), hidden)
        hidden = b"12345" + zlib.compress(value.encode() * 9) + gzip.compress(value.encode() * 9)
        self.assertEqual(sum(value.encode() in out for out in unpacked(hidden)), 2)

    def test_running_and_stopped_the_folder_holds_no_planted_value(self):
        for stopped in (False, True):
            if stopped:
                self.vault.stop()
            for path, data in files_below(self.vault.dir):
                name = os.path.relpath(path, self.vault.dir)
                if name.startswith("credentials" + os.sep):
                    continue
                self.assert_nothing_planted(name, data)
                for out in unpacked(data):
                    self.assert_nothing_planted(name + ", unpacked", out)
                self.assert_nothing_planted("the name of " + name, name.encode())
        self.vault.serve()

    def test_what_serve_and_the_commands_said_holds_none(self):
        self.assert_nothing_planted("the output of serve", self.vault.serve_text().encode())
        for text in self.said:
            self.assert_nothing_planted("a refusal", text.encode())
        with open(self.vault.path("changed.csv.rejects.csv"), "rb") as file:
            rejects = file.read()
        self.assertIn(b"\n2,", rejects)
        self.assert_nothing_planted("the rejects file", rejects)

    def test_no_file_or_folder_is_open_to_others(self):
        for root, folders, names in os.walk(self.vault.dir):
            for name in [".", *folders]:
                mode = os.stat(os.path.join(root, name)).st_mode
                self.assertEqual(stat.S_IMODE(mode), 0o700, os.path.join(root, name))
            for name in names:
                mode = os.stat(os.path.join(root, name)).st_mode
                if name != "ca.pem":  # Public by nature.
                    self.assertEqual(stat.S_IMODE(mode) & 0o077, 0, os.path.join(root, name))

    def test_the_processes_leave_no_core_and_cannot_be_looked_into(self):
        for which in ("gateway_pid", "keyserver_pid"):
            pid = self.vault.ports[which]
            with open(f"/proc/{pid}/limits", encoding="ascii") as file:
                limit = next(line for line in file if line.startswith("Max core file size"))
            self.assertEqual(limit.split()[4:6], ["0", "0"])
            # What is not dumpable belongs to root, whoever runs it.
            self.assertEqual(os.stat(f"/proc/{pid}/mem").st_uid, 0)
            with open(f"/proc/{pid}/status", encoding="ascii") as file:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
            self.assertEqual(status["NoNewPrivs"], "1")
            if which == "keyserver_pid":
                self.assertEqual(status["Seccomp"], "2")
            try:
                with open(f"/proc/{pid}/environ", "rb") as file:
                    self.assert_nothing_planted(which, file.read())
            except PermissionError:  # For anyone but root.
                self.assertNotEqual(os.geteuid(), 0)
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                self.assert_nothing_planted(which, file.read())

    def test_store_and_gateway_without_the_key_server_open_nothing(self):
        self.vault.stop()
        copy = self.vault.path("stolen")
        try:
            for name in ("store", "gateway", "run"):
                shutil.copytree(os.path.join(self.vault.dir, name), os.path.join(copy, name))
            outcome = self.vault.run("serve", copy, "--listen", "127.0.0.1:0", who=None)
            self.assertEqual((outcome.status, outcome.stdout), (1, ""))
            self.assertIn("no vault in this folder", outcome.stderr)
            # Nor under another key server, with credentials that are good there.
            other = self.vault.path("other")
            self.vault.must("init", other, "--dev", who=None)
            term_key = self.vault.path("other-gateway")
            shutil.copytree(os.path.join(other, "gateway"), term_key)
            for name in ("store", "gateway"):
                shutil.rmtree(os.path.join(other, name))
                shutil.copytree(os.path.join(copy, name), os.path.join(other, name))
            self.vault.dir, own = other, self.vault.dir
            try:
                self.vault.serve()
                # The term key is not that vault's, which the gateway says and does nothing; with the right one it finds nothing.
                outcome = self.vault.run("find", "person", f"phone={PEOPLE[0]['phone']}", "--purpose", "service")
                self.assertEqual((outcome.status, outcome.stdout), (1, ""))
                self.assertIn("term.key", outcome.stderr)
                self.vault.stop()
                shutil.rmtree(os.path.join(other, "gateway"))
                shutil.copytree(term_key, os.path.join(other, "gateway"))
                self.vault.serve()
                for field in ("name", "phone", "national_id"):
                    self.assertEqual(self.vault.find("person", f"{field}={PEOPLE[0][field]}")["records"], [])
                for number in (0, 1, 1234):
                    outcome = self.vault.run("get", "person", f"{number:010x}", "--purpose", "service")
                    self.assertEqual((outcome.status, outcome.stdout), (1, ""))
                self.vault.stop()
            finally:
                self.vault.dir = own
        finally:
            self.vault.stop()
            self.vault.serve()
        self.assertEqual(len(self.vault.find("person", f"phone={PEOPLE[0]['phone']}")["records"]), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
