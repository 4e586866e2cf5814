"""Cut off, thawed, raised and used up: what one may do alone, what takes several, and that no budget is overrun by
whoever comes through 64 doors at once."""

import concurrent.futures
import json
import os
import unittest

from vault import needs_door, SOURCE, Vault

try:
    import door
except ImportError:
    door = None

PERSON = 1
ROWS = 150


class Governed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vault = cls.enterClassContext(Vault())
        rows = "".join(f"测试{i:03d},138001{i:05d},1980-01-31,Marker Street 1\n" for i in range(ROWS))
        cls.vault.import_csv("person", "name,phone,dob,address\n" + rows)

    def find(self, i=0, **options):
        return self.vault.run("find", "person", f"phone=138001{i:05d}", "--purpose", "service", **options)

    def assert_refused(self, outcome, *texts):
        self.assertEqual((outcome.status, outcome.stdout, outcome.stderr.count("\n")), (1, "", 1), outcome)
        for text in texts:
            self.assertIn(text, outcome.stderr)


class Freezes(Governed):
    def test_one_cuts_off_and_several_thaw(self):
        vault = self.vault
        self.assertEqual(self.find().status, 0)
        self.assert_refused(vault.run("freeze", "principal:clerk"), "lacks the power")
        said = vault.must("freeze", "principal:clerk", "--reason", "key stolen", who="officer").stdout
        self.assertRegex(said, r"^principal:clerk is frozen, logged as entry \d+\n$")
        self.assert_refused(self.find(), "You are frozen", "ask the security officer")
        vault.kill("serve")
        vault.serve()
        self.assert_refused(self.find(), "You are frozen")
        self.assertIn("FROZEN principal:clerk by officer", vault.must("status", who="officer").stdout)
        self.assertIn("FROZEN", vault.must("me").stdout)
        self.assertIn("frozen already", vault.must("freeze", "principal:clerk", who="auditor").stdout)

        request = vault.json("thaw", "principal:clerk", "--reason", "has a new key", who="officer")["request"]
        listed = vault.must("requests", who="approver1").stdout
        self.assertRegex(listed, rf"{request} +thaw principal:clerk +officer +0 of 2 +open")
        outcome = vault.run("approve", request, "--yes", who="officer")
        self.assertEqual(outcome.status, 1)
        self.assertIn("lacks the power", outcome.stderr)
        outcome = vault.run("approve", request, who="approver1")
        self.assertEqual(outcome.status, 1, "nobody was there to say yes")
        shown = vault.must("approve", request, "--yes", who="approver1").stdout
        for text in ("thaw principal:clerk", "asked by officer", "has a new key", "still open"):
            self.assertIn(text, shown)
        self.assert_refused(self.find(), "You are frozen")
        outcome = vault.run("approve", request, "--yes", who="approver1")
        self.assertEqual(outcome.status, 1)
        self.assertIn("approved this request already", outcome.stderr)
        self.assertIn("is done", vault.must("approve", request, "--yes", who="approver3").stdout)
        self.assertEqual(self.find().status, 0)
        self.assertIn("no open requests", vault.must("requests", who="approver1").stdout)

    def test_a_denied_request_is_closed(self):
        vault = self.vault
        vault.must("freeze", "collection:parcel", who="auditor")
        request = vault.json("thaw", "collection:parcel", who="auditor")["request"]
        self.assertIn("denied", vault.must("deny", request, "--yes", who="approver2").stdout)
        outcome = vault.run("approve", request, "--yes", who="approver1")
        self.assertEqual(outcome.status, 1)
        self.assertIn("was denied", outcome.stderr)
        self.assertIn("denied", vault.must("requests", "--all", who="officer").stdout)

    def test_a_scope_that_is_none(self):
        self.assert_refused(self.vault.run("freeze", "everything", who="officer"), "A scope is principal:NAME")


class Changes(Governed):
    def test_the_example_cases_hold_for_the_example_policy(self):
        examples = os.path.join(SOURCE, "examples")
        collections = [os.path.join(examples, "collections", name + ".yaml")
                       for name in ("person", "incident", "parcel", "legislator")]
        policy = os.path.join(examples, "policies", "example.yaml")
        cases = os.path.join(examples, "policies", "cases.yaml")
        said = self.vault.must("policy", "test", cases, "--policy", policy, "--collection", *collections,
                               who=None).stdout
        self.assertNotIn("FAIL", said)
        with open(cases, encoding="utf-8") as file:
            wrong = self.vault.write("wrong.yaml", file.read().replace("expect: allowed", "expect: You are frozen", 1))
        outcome = self.vault.run("policy", "test", wrong, "--policy", policy, "--collection", *collections, who=None)
        self.assertEqual(outcome.status, 1)
        self.assertEqual(outcome.stdout.count("FAIL"), 1)

    def test_to_widen_takes_several_and_to_narrow_one(self):
        vault = self.vault
        shown = vault.must("policy", "show", who="officer").stdout
        wider = vault.write("wider.yaml", shown.replace("records_per_query: 50", "records_per_query: 60", 1))
        dry = vault.must("policy", "apply", wider, "--dry-run", who="officer").stdout
        self.assertIn("records_per_query: 50 -> 60", dry)
        self.assertIn("for clerk", dry)
        self.assertIn("it widens access", dry)
        said = vault.must("policy", "apply", wider, "--reason", "more to do", who="officer").stdout
        self.assertIn("nothing is changed yet", said)
        self.assertEqual(vault.must("policy", "show", who="officer").stdout, shown)
        narrower = vault.write("narrower.yaml", shown.replace("records_per_query: 50", "records_per_query: 40", 1))
        self.assertIn("policy version 2", vault.must("policy", "apply", narrower, who="officer").stdout)
        # What was asked for was asked of another policy.
        request = vault.json("requests", who="officer")["requests"][0]["request"]["id"]
        vault.must("approve", request, "--yes", who="approver1")
        outcome = vault.run("approve", request, "--yes", who="approver2")
        self.assertEqual(outcome.status, 1)
        self.assertIn("has changed since", outcome.stderr)
        vault.must("request", "withdraw", request, who="officer")

    def test_everybody_sees_their_own_and_reviewers_all(self):
        vault = self.vault
        self.assertEqual(self.find(1).status, 0)
        me = vault.must("me").stdout
        self.assertRegex(me, r"service +person +records +hour +1 of 100")
        self.assertRegex(me, r"all purposes +all +records +month +1 of 10,000")
        review = vault.must("principal", "review", "clerk", who="auditor").stdout
        self.assertIn("reaches person for investigation service: FIND COUNT GET", review)
        self.assertRegex(review, r"in 90 days, person for service: 1 records, 1 searches")
        self.assert_refused(vault.run("principal", "review"), "lacks the power")
        self.assertIn("no emergency use", vault.must("review", who="auditor").stdout)


@needs_door
class Networks(Governed):
    """127.0.0.2 is another machine's address, as far as anyone can tell."""

    def only_from(self, networks):
        shown = self.vault.must("policy", "show", who="officer").stdout
        narrower = self.vault.write("networks.yaml", shown.replace(
            "records_per_query: 50", f"records_per_query: 50\n        networks: [{networks}]", 1))
        return self.vault.run("policy", "apply", narrower, who="officer")

    def test_a_key_is_good_in_its_own_network_only(self):
        vault = self.vault
        self.assert_refused(self.only_from("127.0.0.3/8"), "nothing but zeros")
        done = self.only_from("127.0.0.2/31")
        self.assertIn("policy version 2", done.stdout, "that narrows, so one is enough")
        self.assert_refused(self.find(), "from the network you call from", "ask the security officer")
        inside, outside = (door.Door(vault.credential("clerk"), at) for at in ("127.0.0.2", "127.0.0.4"))
        self.addCleanup(inside.close)
        self.addCleanup(outside.close)
        ticket = inside.ticket(PERSON, purpose="service")
        terms = [("phone", "13800100000")]
        self.assertEqual(len(inside.find(PERSON, terms, ticket=ticket).json["records"]), 1)
        for claimed in ({}, {"from": door.b64(bytes((127, 0, 0, 2)))}, {"from": ""}):
            reply = outside.find(PERSON, terms, ticket={**ticket, **claimed})
            self.assertEqual((reply.status, reply.code), (403, "permission_denied"), reply.body)
        log = vault.must("log", "tail", who="auditor").stdout
        self.assertRegex(log, r"release .*clerk for service A-2026-117 from 127\.0\.0\.2")
        self.assertNotIn("127.0.0.4", log)
        self.assertIn('"src_endpoint":{"ip":"127.0.0.2"}',
                      vault.must("log", "export", "--ocsf", who="auditor").stdout.replace(" ", ""))
        shown = vault.must("policy", "show", who="officer").stdout
        wider = vault.write("wider.yaml", shown.replace("127.0.0.2/31", "127.0.0.0/30"))
        self.assertIn("it widens access", vault.must("policy", "apply", wider, "--dry-run", who="officer").stdout)


@needs_door
class Races(Governed):
    def test_64_doors_at_a_budgets_edge_open_no_record_more(self):
        vault = self.vault
        clerk = vault.credential("clerk")
        limit = 100  # The example's clerk, in an hour, for one purpose.
        doors = [door.Door(clerk) for _ in range(64)]
        self.addCleanup(lambda: [d.close() for d in doors])

        def take(turn):
            opened = []
            for i in range(turn, 3 * 64 + turn, 64):
                ticket = door.sign_ticket(doors[turn].credential, PERSON, purpose="service", records_max=10)
                reply = doors[turn].find(PERSON, [("phone", f"138001{i % ROWS:05d}")], ticket=ticket)
                if reply.status == 200:
                    opened += [record["id"] for record in reply.json["records"]]
                else:
                    self.assertEqual(reply.status, 429, reply.body)
            return opened

        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            opened = [record for some in pool.map(take, range(64)) for record in some]
        self.assertEqual(len(opened), limit)
        logged = door.releases(vault.door("auditor"))
        self.assertEqual(sum(len(records) for records in logged.values()), limit, "each that left is in the log")
        self.assert_refused(self.find(), "records in an hour for this purpose is used up", "again in",
                            "ask the security officer")
        vault.restart()
        self.assert_refused(self.find(), "is used up")
        outcome = self.find(2, env=None)
        self.assertEqual(outcome.status, 1)
        error = json.loads(self.vault.run("find", "person", "phone=13800100002", "--purpose", "service",
                                          "--json").stdout)["error"]
        self.assertEqual((error["code"], error["contact"]), ("budget_exhausted", "the security officer"))


if __name__ == "__main__":
    unittest.main()
