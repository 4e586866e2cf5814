"""Bad files, bad disks, bad clocks. Each is answered with one line that says what to do; nothing that was there
is lost, and nothing personal is in any message."""

import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import unittest

from vault import Vault, alive, files_below, fingerprint, national_id

GOOD = [("王好人", national_id(110101, "19800131", 17), "13812345670", "1980-01-31", "北京市东城区好路1号"),
        ("Ann Goodman", national_id(310101, "19751224", 28), "13987654320", "1975-12-24", "上海市黄浦区好路2号")]
# Planted in bad rows and files; none of it may be in any message.
MARKS = ("马克标记", "Xmarkerx", "13766554433", "markerville")
HEADER = "name,national_id,phone,dob,address\n"


def csv_of(rows):
    return HEADER + "".join(",".join(row) + "\n" for row in rows)


class BadInputTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vault = cls.enterClassContext(Vault())
        counts = cls.vault.import_csv("person", csv_of(GOOD), name="good.csv")
        assert counts["imported"] == 2, counts

    def assert_nothing_personal(self, *texts):
        for text in (*texts, self.vault.serve_text()):
            for mark in MARKS:
                self.assertNotIn(mark, text)
            for row in GOOD:
                for value in row[:3]:
                    self.assertNotIn(value, text)

    def assert_refused(self, outcome, *texts):
        """Status 1, nothing on standard output, one line on standard error with these texts."""
        self.assertEqual((outcome.status, outcome.stdout), (1, ""), outcome)
        self.assertTrue(outcome.stderr.startswith("strongroom: "), outcome.stderr)
        self.assertEqual(outcome.stderr.count("\n"), 1, outcome.stderr)
        for text in texts:
            self.assertIn(text, outcome.stderr)
        self.assert_nothing_personal(outcome.stderr)

    def assert_good_rows_there(self):
        for row in GOOD:
            found = self.vault.find("person", f"national_id={row[1]}", f"phone={row[2]}")["records"]
            self.assertEqual([record["fields"]["name"] for record in found], [row[0]])


class BadRows(BadInputTest):
    """Rows that are refused one by one, into the rejects file, while the others are taken in."""

    serial = 0

    def tearDown(self):
        self.assert_good_rows_there()

    def assert_rejected(self, name, data, reason, *args, collection="person", imported=1, rejected=1):
        path = self.vault.write(name, data)
        outcome = self.vault.run("import", collection, path, *args, who="operator")
        self.assertEqual(outcome.status, 0, outcome)
        self.assertIn(f"{imported} imported, 0 updated, 0 unchanged, {rejected} rejected", outcome.stdout)
        rejects = path + ".rejects.csv"
        self.assertEqual(os.stat(rejects).st_mode & 0o077, 0)
        with open(rejects, encoding="utf-8") as file:
            text = file.read()
        self.assertEqual(text.count("\n"), rejected + 1)
        for said in (outcome.stderr, text):
            self.assertIn(reason, said)
        self.assert_nothing_personal(outcome.stdout, outcome.stderr, text)
        return outcome

    def good_row(self):
        BadRows.serial += 1
        return f"好{self.serial},{national_id(110101, '19900101', self.serial)},1390000{self.serial:04d},1990-01-01,路\n"

    def test_a_date_that_is_none(self):
        self.assert_rejected("date.csv", HEADER + self.good_row() + "马克标记,,13766554433,1980-02-31,markerville\n",
                             "not a day of the calendar")

    def test_a_phone_that_is_none(self):
        self.assert_rejected("phone.csv", HEADER + self.good_row() + "马克标记,,13766554433999,,markerville\n",
                             "not a telephone number")

    def test_a_wrong_check_digit(self):
        good = national_id(110101, "19700101", 3)
        bad = good[:-1] + ("1" if good[-1] != "1" else "2")
        outcome = self.assert_rejected("id.csv", HEADER + self.good_row() + f"马克标记,{bad},13766554433,,\n",
                                       "not an ID number")
        self.assertNotIn(bad, outcome.stderr + outcome.stdout)

    def test_a_required_field_that_is_missing(self):
        self.assert_rejected("required.csv", HEADER + self.good_row() + ",,13766554433,,markerville\n", "required")

    def test_too_few_fields_in_a_row(self):
        self.assert_rejected("few.csv", HEADER + self.good_row() + "马克标记,13766554433\n", "row")

    def test_an_unclosed_quote(self):
        path = self.vault.write("quote.csv", HEADER + self.good_row() + '"马克标记,,13766554433,,markerville\n')
        outcome = self.vault.run("import", "person", path, who="operator")
        self.assertIn("1 rejected", outcome.stdout)
        self.assert_nothing_personal(outcome.stdout, outcome.stderr)

    def test_bytes_that_are_no_text(self):
        row = "Xmarkerx,,13766554433,,".encode() + b"\xff\xfe\x80markerville\n"
        self.assert_rejected("utf8.csv", (HEADER + self.good_row()).encode() + row, "not valid", "--encoding", "utf-8")

    def test_a_field_of_ten_megabytes(self):
        self.assert_rejected("large.csv", HEADER + self.good_row() + "马克标记,,,," + "markerville" * 950_000 + "\n" +
                             self.good_row(), "larger than", imported=2)

    def test_a_field_longer_than_its_collection_allows(self):
        self.assert_rejected("long.csv", HEADER + self.good_row() + "马克标记,,,," + "markerville" * 1000 + "\n",
                             "longer than")

    def test_a_value_that_another_record_has(self):
        self.assert_rejected("taken.csv", HEADER + self.good_row() + f"马克标记,{GOOD[0][1]},13766554433,,markerville\n",
                             "another record already has this value")

    def test_a_whole_number_a_timestamp_and_json(self):
        policy = self.vault.must("policy", "show", who="officer").stdout
        self.vault.must("collection", "apply", self.vault.write("sample.yaml", """\
name: sample
id: 9
groups: [{id: 1, name: all}]
fields:
  - {id: 1, name: code, type: CODE, group: all, required: true, unique: true, index: [EXACT]}
  - {id: 2, name: age, type: INTEGER, group: all, index: [EXACT]}
  - {id: 3, name: seen, type: TIMESTAMP, group: all}
  - {id: 4, name: more, type: JSON, group: all}
"""), who="operator")
        grant = ("      - collection: sample\n        purposes: [import]\n        actions: [IMPORT]\n"
                 "        budget: {writes_per_day: 1000}\n")
        head, _, tail = policy.partition("  - name: operator\n")
        self.vault.apply_policy("sample-policy.yaml", head + "  - name: operator\n" +
                                tail.replace("grants:\n", "grants:\n" + grant, 1))
        lines = ['{"code": "A1", "age": 42, "seen": "2024-01-31T08:30:00Z", "more": {"x": [1]}}',
                 '{"code": "Xmarkerx1", "age": 4.5}', '{"code": "Xmarkerx2", "age": "markerville"}',
                 '{"code": "Xmarkerx3", "seen": "yesterday markerville"}',
                 '{"code": "Xmarkerx4", "age": 99999999999999999999}',
                 '{"code": {"no": "markerville"}}', '{"code": "Xmarkerx5" "age": 1}', 'markerville']
        path = self.vault.write("sample.ndjson", "\n".join(lines) + "\n")
        outcome = self.vault.run("import", "sample", path, who="operator")
        self.assertIn("1 imported, 0 updated, 0 unchanged, 7 rejected", outcome.stdout, outcome)
        with open(path + ".rejects.csv", encoding="utf-8") as file:
            text = file.read()
        for reason in ("not a whole number", "not a point in time", "single value", "not one JSON object"):
            self.assertIn(reason, text)
        self.assert_nothing_personal(outcome.stdout, outcome.stderr, text)

    def test_a_bad_search_value_is_refused_without_being_repeated(self):
        for term, text in (("dob=markerville", "not a day of the calendar"),
                           ("phone=13766554433999", "not a telephone number"),
                           ("national_id=Xmarkerx", "not an ID number"), ("salary=Xmarkerx", "unknown field"),
                           ("name:马克标记", "no index of words"), ("dob~马克标记", "no index of names"),
                           ("Xmarkerx", "not a term"), ("phone^13766", "prefixes of this length")):
            outcome = self.vault.run("find", "person", term, "--purpose", "service")
            self.assert_refused(outcome, text)
        for name in ("0", "not-an-id", "00000000001"):
            self.assert_refused(self.vault.run("get", "person", name, "--purpose", "service"), "ten hex digits")


class BadFiles(BadInputTest):
    """Files that are refused whole."""

    def tearDown(self):
        self.assert_good_rows_there()

    def assert_import_refused(self, name, data, *texts, args=()):
        path = self.vault.write(name, data)
        outcome = self.vault.run("import", "person", path, *args, who="operator")
        self.assert_refused(outcome, *texts)
        self.assertFalse(os.path.exists(path + ".rejects.csv"))

    def test_an_unknown_column(self):
        self.assert_import_refused("column.csv", "name,Xmarkerx\n马克标记,markerville\n", "no field for", "(2)")

    def test_a_column_named_twice(self):
        self.assert_import_refused("twice.csv", "name,phone,phone\n马克标记,13766554433,\n", "twice", "(3)")

    def test_a_required_column_that_is_missing(self):
        self.assert_import_refused("missing.csv", "phone\n13766554433\n", "required field has no column")

    def test_an_empty_file(self):
        self.assert_import_refused("empty.csv", "", "empty")

    def test_a_header_alone_imports_nothing(self):
        counts = self.vault.import_csv("person", HEADER, name="header.csv")
        self.assertEqual(counts, {"imported": 0, "updated": 0, "unchanged": 0, "rejected": 0})

    def test_a_file_that_is_not_there_and_a_folder(self):
        self.assert_refused(self.vault.run("import", "person", self.vault.path("none.csv"), who="operator"),
                            "no such file")
        self.assert_refused(self.vault.run("import", "person", self.vault.base, who="operator"), "folder")

    def test_a_key_that_is_not_unique(self):
        self.assert_import_refused("key.csv", "name,phone\n马克标记,13766554433\n", "--key must name a unique field",
                                   args=("--key", "phone"))

    def test_binary_rubbish(self):
        self.assert_import_refused("rubbish.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rXmarkerx\xff\xfe\0\n" * 50)

    def test_yaml_with_a_mistake_names_the_line(self):
        for name, text, line in (("tab.yaml", "name: person\nid: 1\ntitle: [Xmarkerx\nfields: }\n", ":4"),
                                 ("key.yaml", "name: person\nid: 1\nXmarkerx: 7\n", ":3"),
                                 ("type.yaml", "name: person\nid: markerville\n", ":2"),
                                 ("twice.yaml", "name: person\nid: 1\nid: 2\n", ":3")):
            for command in (("collection", "apply"), ("policy", "apply")):
                outcome = self.vault.run(*command, self.vault.write(name, text), who="operator")
                self.assertEqual((outcome.status, outcome.stdout, outcome.stderr.count("\n")), (1, "", 1), outcome)
                if command[0] == "collection":
                    self.assertIn(name + line, outcome.stderr)
                else:
                    self.assertRegex(outcome.stderr, name + r":\d")

    def test_an_unknown_key_deep_in_a_policy_names_its_line(self):
        path = self.vault.write("deep.yaml", "purposes:\n  - name: service\nroles:\n  - name: clerk\n    grnats: []\n")
        self.assert_refused(self.vault.run("policy", "apply", path, who="officer"), "deep.yaml:5", "grnats")

    def test_a_collection_changed_incompatibly_stays_as_it_was(self):
        shown = self.vault.must("collection", "show", "person", who="operator").stdout
        changes = (("type: DATE", "type: TEXT"), ("name: person", "name: people"), ("id: 1\n", "id: 6\n"),
                   ("unique: true", "unique: false"))
        for before, after in changes:
            self.assertIn(before, shown)
            path = self.vault.write("changed.yaml", shown.replace(before, after, 1))
            self.assert_refused(self.vault.run("collection", "apply", path, who="operator"), "changed.yaml")
        self.assertEqual(self.vault.must("collection", "show", "person", who="operator").stdout, shown)

    def test_credentials_that_are_none(self):
        cases = ((self.vault.path("nowhere.json"), "not there"),
                 (self.vault.write("rubbish.json", "Xmarkerx"), "not a credential"),
                 (self.vault.write("empty.json", "{}"), "credential file"))
        for path, text in cases:
            self.assert_refused(self.vault.run("find", "person", "name=x", "--purpose", "service", who=path), text)
        without = self.vault.run("find", "person", "name=x", "--purpose", "service", who=None,
                                 env={"STRONGROOM_CREDENTIAL": ""})
        self.assert_refused(without, "--credential FILE")

    def test_a_folder_that_is_no_vault_and_one_that_is(self):
        self.assert_refused(self.vault.run("serve", self.vault.base, who=None), "no vault in this folder")
        self.vault.stop()  # One that serves publishes tiles of its log meanwhile.
        before = fingerprint(self.vault.dir)
        self.assert_refused(self.vault.run("init", self.vault.dir, "--dev", who=None), "a vault here already")
        self.assertEqual(fingerprint(self.vault.dir), before)
        self.vault.serve()


class BadMachine(BadInputTest):
    """Disks and clocks. Each test leaves a running vault behind."""

    def setUp(self):
        if self.vault.server is None:
            self.vault.serve()

    def keys(self):
        return {name: fingerprint(os.path.join(self.vault.dir, name)) for name in ("keyserver", "keyserver-mirror",
                                                                                   "store")}

    def assert_serve_refuses(self, *texts, **options):
        """`serve` does not come up, says so in one line, and changes nothing."""
        before = self.keys()
        status, _, said = self.vault.serve_refused(**options)
        self.assertEqual(status, 1, said)
        self.assertEqual(said.count("\n"), 1, said)
        for text in texts:
            self.assertIn(text, said)
        self.assert_nothing_personal(said)
        self.assertEqual(self.keys(), before)

    def test_nothing_outlives_a_serve_that_was_killed_whoever_adopts_orphans(self):
        pr_set_child_subreaper = 36
        libc = ctypes.CDLL(None)
        self.addCleanup(libc.prctl, pr_set_child_subreaper, 0, 0, 0, 0)
        libc.prctl(pr_set_child_subreaper, 1, 0, 0, 0)
        with Vault() as vault:
            for _ in range(5):
                vault.kill("serve")  # Its compactor has hardly begun.
                vault.serve()

    def test_a_second_serve_on_the_same_folder(self):
        outcome = self.vault.run("serve", self.vault.dir, "--listen", "127.0.0.1:0", who=None)
        self.assert_refused(outcome, "another `strongroom serve` is running on this folder")
        self.assert_good_rows_there()

    def test_a_port_in_use(self):
        other = self.vault.path("other")
        self.vault.must("init", other, "--dev", who=None)
        outcome = self.vault.run("serve", other, "--listen", self.vault.ports["gateway"], who=None)
        self.assertEqual(outcome.status, 1)
        self.assertIn("cannot listen", outcome.stderr)

    def test_a_damaged_release_log_is_refused_and_nothing_is_changed(self):
        self.vault.stop()
        log = os.path.join(self.vault.dir, "keyserver", "log")
        entries, checkpoint = os.path.join(log, "entries-00000000.log"), os.path.join(log, "checkpoint")
        with open(entries, "rb") as file:
            whole = file.read()
        with open(checkpoint, "rb") as file:
            note = file.read()
        used = len(whole.rstrip(b"\0"))

        def edited(at):
            return whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1:]

        what_to_do = "Restore keyserver/log"
        for name, data in (("truncated", whole[:used // 2]), ("a bit flipped early", edited(60)),
                           ("a bit flipped in the middle", edited(used // 2)), ("empty", b""),
                           ("the end cut off", whole[:used - 200])):
            with self.subTest(name):
                with open(entries, "wb") as file:
                    file.write(data)
                self.assert_serve_refuses(what_to_do)
        os.remove(entries)
        self.assert_serve_refuses(what_to_do)
        with open(entries, "wb") as file:
            file.write(whole)
        os.remove(checkpoint)
        self.assert_serve_refuses(what_to_do)
        with open(checkpoint, "wb") as file:
            file.write(note.replace(note.split(b"\n")[1], b"1", 1))
        self.assert_serve_refuses("checkpoint")
        with open(checkpoint, "wb") as file:
            file.write(note)
        self.vault.serve()
        self.assert_good_rows_there()
        self.assertTrue(self.vault.json("log", "verify", who="auditor")["verified"])

    def test_damaged_key_state_is_refused_unless_one_copy_is_whole(self):
        self.vault.stop()
        state = os.path.join(self.vault.dir, "keyserver", "state")
        mirror = os.path.join(self.vault.dir, "keyserver-mirror", "state")
        saved = {folder: fingerprint(folder) for folder in (state, mirror)}
        for folder in saved:
            for path, data in saved[folder].items():
                with open(path, "wb") as file:
                    file.write(data[:-20] + bytes(b ^ 1 for b in data[-20:]))
        self.assert_serve_refuses("key state", "Restore")
        for path, data in saved[mirror].items():
            with open(path, "wb") as file:
                file.write(data)
        self.vault.serve()  # From the mirror.
        self.assert_good_rows_there()

    def test_a_damaged_file_of_the_store_is_detected_and_nothing_shown(self):
        self.vault.stop()
        store = os.path.join(self.vault.dir, "store")
        tables = {path: data for path, data in files_below(store) if path.endswith(".sst")}
        self.assertTrue(tables)
        for path, data in tables.items():
            with open(path, "wb") as file:
                file.write(data[:8] + bytes([data[8] ^ 0x55]) + data[9:])  # In its first block of data.
        self.vault.serve()
        for row in GOOD:
            outcome = self.vault.run("find", "person", f"national_id={row[1]}", "--purpose", "service")
            self.assert_refused(outcome, "damaged", "backup")
            refused = json.loads(self.vault.run("find", "person", f"phone={row[2]}", "--purpose", "service",
                                                "--json").stdout)
            self.assertEqual(refused["error"]["code"], "data_loss")
            self.assertIn(f"{refused['error']['number']:06}.sst", [os.path.basename(path) for path in tables])
        self.vault.stop()
        for path, data in tables.items():
            with open(path, "wb") as file:
                file.write(data[:-1] + bytes([data[-1] ^ 0x55]))  # In what says that it is such a file.
        status, _, said = self.vault.serve_refused()
        self.assertEqual((status, said.count("\n")), (1, 1), said)
        self.assertIn("damaged", said)
        for path, data in tables.items():
            with open(path, "wb") as file:
                file.write(data)
        self.vault.serve()
        self.assert_good_rows_there()

    def test_a_full_disk_under_the_store(self):
        # Python lets go of SIGXFSZ's default: a file that may not grow is an error, as a full disk is.
        self.vault.stop()
        keep = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            self.vault.serve(restore_signals=False)
        finally:
            signal.signal(signal.SIGXFSZ, keep)
        rows = csv_of((f"满{i}", national_id(110101, "19850505", i % 1000) if i < 900 else "", f"1500000{i:04d}", "",
                       "路" * 200)
                      for i in range(9000))
        path = self.vault.write("full.csv", rows)
        gateway = self.vault.ports["gateway_pid"]
        _, hard = resource.prlimit(gateway, resource.RLIMIT_FSIZE)
        resource.prlimit(gateway, resource.RLIMIT_FSIZE, (64 << 10, hard))
        outcome = self.vault.run("import", "person", path, who="operator")
        self.assertEqual(outcome.status, 1, outcome)
        self.assertRegex(outcome.stderr, "disk is full|disk failed")
        self.assert_nothing_personal(outcome.stderr)
        self.assert_good_rows_there()
        resource.prlimit(gateway, resource.RLIMIT_FSIZE, (hard, hard))
        if self.vault.run("import", "person", path, who="operator").status != 0:
            self.vault.restart()
            self.vault.must("import", "person", path, who="operator")
        self.vault.raise_budgets()
        for i in (0, 4000, 8999):
            self.assertEqual(self.vault.count("person", f"name=满{i}"), 1)
        self.assertEqual(self.vault.count("person", "address=" + "路" * 200), 9000)
        self.assert_good_rows_there()

    def test_a_full_disk_under_the_release_log_stops_everything_unlogged(self):
        self.vault.stop()
        keep = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            self.vault.serve(restore_signals=False)
        finally:
            signal.signal(signal.SIGXFSZ, keep)
        # What it has to say goes to a file too, so the limit is above that and below the log's end.
        os.truncate(self.vault.serve_output, 0)
        limit = 2048
        with open(os.path.join(self.vault.dir, "keyserver", "log", "entries-00000000.log"), "rb") as file:
            self.assertGreater(len(file.read().rstrip(b"\0")), limit)
        resource.prlimit(self.vault.ports["keyserver_pid"], resource.RLIMIT_FSIZE, (limit, limit))
        outcome = self.vault.run("find", "person", f"phone={GOOD[0][2]}", "--purpose", "service")
        self.assertEqual((outcome.status, outcome.stdout), (1, ""), outcome)
        self.assert_nothing_personal(outcome.stderr)
        # A key server that cannot log ends, and the whole of it with it.
        self.assertEqual(self.vault.wait_ended(), 1)
        self.assertIn("could not be written", self.vault.serve_text())
        self.vault.serve()
        self.assert_good_rows_there()
        self.assertTrue(self.vault.json("log", "verify", who="auditor")["verified"])

    def test_a_clock_that_has_gone_backwards(self):
        shifted = self.vault.shifted_clock(-7200)
        self.vault.stop()
        self.assert_serve_refuses("clock", "nothing was changed", env=shifted)
        self.vault.serve()
        self.assert_good_rows_there()

    def test_a_lost_credential_of_the_gateway(self):
        self.vault.stop()
        path = os.path.join(self.vault.dir, "gateway", "term.key")
        os.rename(path, path + ".away")
        status, _, said = self.vault.serve_refused()
        self.assertEqual(status, 1)
        self.assertEqual(said.count("\n"), 1, said)
        os.rename(path + ".away", path)
        self.vault.serve()
        self.assert_good_rows_there()

    def test_ended_processes_leave_no_others(self):
        self.vault.kill("keyserver")
        self.assertFalse([pid for pid in self.vault.pids if alive(pid)])
        self.vault.serve()
        self.assert_good_rows_there()


if __name__ == "__main__":
    unittest.main(verbosity=2)
