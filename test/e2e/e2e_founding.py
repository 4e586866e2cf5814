"""A vault that is meant seriously: founded without --dev, opened by share holders, set up by two founders, killed and
opened again. What is secret is looked for in every output of every command."""

import base64
import csv
import glob
import hashlib
import hmac
import io
import json
import os
import pty
import shutil
import stat
import termios
import time
import unittest

from vault import fingerprint, needs_door, SOURCE, START_S, Vault

SEALED = "the vault is sealed; its share holders open it with `strongroom unseal`"
# To somebody at the command line, since a sealed vault cannot sign it.
SEALED_UNVERIFIED = SEALED + " (not verified: a sealed vault cannot sign what it says)"
NOT_VERIFIED = b"not verified: a sealed vault cannot sign what it says\n"
EXAMPLES = os.path.join(SOURCE, "examples")
COLLECTIONS = [os.path.join(EXAMPLES, "collections", name + ".yaml")
               for name in ("person", "incident", "parcel", "legislator")]
POLICY = os.path.join(EXAMPLES, "policies", "example.yaml")
PEOPLE = 200

# -- shares, written from docs/spec/files.md alone ------------------------------------------------

DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
Y = 19  # Where y begins, the part of a share that is secret; version, x, threshold and set are before it.


def decode(share):
    """The 51 bytes of a share that its checksum is made of."""
    number = 0
    for digit in share.removeprefix("sr1-share-").replace("-", ""):
        number = number * 32 + DIGITS.index(digit)
    return number.to_bytes(55, "big")[:51]


def encode(body):
    number = int.from_bytes(body + hashlib.sha256(body).digest()[:4], "big")
    digits = "".join(DIGITS[number >> 5 * place & 31] for place in reversed(range(88)))
    return "sr1-share-" + "-".join(digits[at:at + 4] for at in range(0, 88, 4))


def times(a, b):
    """In GF(2^8) modulo 11Bh."""
    product = 0
    while b:
        product ^= a * (b & 1)
        a = a << 1 ^ 0x11B * (a >> 7)
        b >>= 1
    return product


def over(a, b):
    return next(c for c in range(256) if times(b, c) == a)


def root_of(one, two):
    """The root key, of two shares of a vault that needs two: the value at 0 of the line through both."""
    one, two = decode(one), decode(two)
    return bytes(times(a, over(two[1], one[1] ^ two[1])) ^ times(b, over(one[1], one[1] ^ two[1]))
                 for a, b in zip(one[Y:], two[Y:]))


# -- the vault ------------------------------------------------------------------------------------


def spellings(secret):
    return secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"=")


class Founded(Vault):
    """Three shares, any two of them open it. What `init` prints is the paper that the shares are on."""

    def __init__(self, *init_args):
        super().__init__()
        self.init_args = init_args
        self.shares = []
        self.handed = {}  # Credentials that were handed out: name -> path.

    def __enter__(self):
        try:
            founded = super().run("init", self.dir, "--name", "city registry", "--shares", "3", "--threshold", "2",
                                  *self.init_args, who=None)
            paper = founded.stdout
            self.shares = [line.split()[2] for line in paper.splitlines() if line.startswith("  share ")]
            for share in self.shares:
                paper = paper.replace(share, "")
            self.check_silent("init", paper + founded.stderr)
            self.serve()
        except BaseException:
            self.close()
            raise
        return self

    def serve(self, **options):
        """Who has a credential elsewhere edits it by hand when the addresses change."""
        super().serve(**options)
        for path in self.handed.values():
            self.edit(path, gateway_at=self.ports["gateway"], keyserver_at=self.ports["keyserver"])
        return self.ports

    def credential(self, who):
        return self.handed.get(who) or super().credential(who)

    def edit(self, path, **changed):
        """Fields of a credential file; None takes one out."""
        with open(path, encoding="utf-8") as file:
            credential = {**json.load(file), **changed}
        with open(path, "w", encoding="utf-8") as file:
            json.dump({name: value for name, value in credential.items() if value is not None}, file)

    def secrets(self):
        """(name, bytes, where) of all that nobody may read: `where` are the files made for it."""
        for number, share in enumerate(self.shares, 1):
            groups = share.removeprefix("sr1-share-").split("-")[Y * 8 // 20 + 1:]
            for at in range(len(groups) - 3):
                yield f"share {number}", "-".join(groups[at:at + 4]).encode(), []
            for text in spellings(decode(share)[Y:]):
                yield f"share {number}", text, []
        if self.shares:
            for text in spellings(root_of(*self.shares[:2])):
                yield "the root key", text, []
        for path in glob.glob(self.path("*.key")) + glob.glob(self.path("*/*.json")) + glob.glob(
                os.path.join(self.dir, "credentials", "*.json")):
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
            for field in ("key", "private_key"):
                if field in content:
                    for text in spellings(base64.b64decode(content[field])):
                        yield f"the key in {path}", text, [path]
        term_key = os.path.join(self.dir, "gateway", "term.key")
        with open(term_key, "rb") as file:
            for text in spellings(bytes.fromhex(file.read().decode())):
                yield "the term key", text, [term_key]
        authority = os.path.join(self.dir, "keyserver", "ca.key")
        with open(authority, "rb") as file:
            for line in file.read().splitlines()[1:-1]:
                yield "the authority's key", line, [authority]

    def check_silent(self, what, text):
        text = text.encode()
        for name, secret, _ in self.secrets():
            if secret in text:
                raise AssertionError(f"{name} is in an output of {what}")

    def run(self, *args, **options):
        outcome = super().run(*args, **options)
        self.check_silent(args[0] if args else "no command", outcome.stdout + outcome.stderr)
        return outcome

    def give(self, share, *args, who="officer"):
        """`unseal` by somebody who holds a share."""
        return self.run("unseal", *args, who=who, stdin=(share + "\n").encode())

    def open(self, *numbers):
        for number in numbers:
            if self.give(self.shares[number - 1]).status != 0:
                raise AssertionError(f"share {number} was refused")


class FoundedTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vault = cls.enterClassContext(Founded())

    def assert_refused(self, outcome, text):
        self.assertEqual((outcome.status, outcome.stdout), (1, ""), outcome)
        self.assertEqual(outcome.stderr.count("\n"), 1, outcome)
        self.assertIn(text, outcome.stderr)

    def assert_given(self, given):
        self.assertIn(f"\nSEALED: {given} of 2 shares given\n", self.vault.must("status", who="officer").stdout)

    def assert_modes(self):
        """What was made is for its maker alone, but for the certificate that everybody has in their credential."""
        for root, folders, names in os.walk(self.vault.dir):
            for name in folders + names:
                path = os.path.join(root, name)
                mode = os.lstat(path).st_mode
                public = name == "ca.pem"
                expected = 0o700 if stat.S_ISDIR(mode) else 0o644 if public else 0o600
                self.assertEqual(oct(stat.S_IMODE(mode)), oct(expected), path)
        self.assertEqual(stat.S_IMODE(os.stat(self.vault.dir).st_mode), 0o700)


class Sealed(FoundedTest):
    def test_it_comes_up_sealed_and_says_so_to_anybody(self):
        self.assert_given(0)
        status = self.vault.json("status", who="operator")
        self.assertEqual((status["sealed"], status["dev"], status["shares_given"], status["shares_needed"]),
                         (True, False, 0, 2))

    def test_every_command_is_refused_and_says_what_to_do(self):
        vault = self.vault
        vault.must("key", "new", "-o", vault.path("any.key"), who=None)
        public, credential = vault.path("any.key.pub"), vault.path("any.json")
        people = vault.write("people.csv", vault.generate("person", 2))
        for command in (("collection", "list"), ("collection", "show", "person"),
                        ("collection", "apply", COLLECTIONS[0]), ("policy", "show"),
                        ("policy", "apply", POLICY), ("policy", "apply", POLICY, "--dry-run"),
                        ("principal", "list"), ("principal", "disable", "operator"),
                        ("principal", "add", "any", "--role", "operator", "--public-key", public, "-o", credential),
                        ("principal", "rekey", "officer", "--public-key", public), ("import", "person", people),
                        ("find", "person", "name=x", "--purpose", "service"),
                        ("get", "person", "0000000000", "--purpose", "service"),
                        ("count", "person", "name=x", "--purpose", "service"),
                        ("log", "tail"), ("log", "checkpoint"), ("log", "verify")):
            with self.subTest(command=command[:2]):
                self.assert_refused(vault.run(*command, who="officer"), SEALED)
                outcome = vault.run(*command, "--json", who="officer")
                self.assertEqual((outcome.status, outcome.stderr), (1, ""))
                error = json.loads(outcome.stdout)["error"]
                self.assertEqual((error["code"], error["message"]), ("unavailable", SEALED_UNVERIFIED))
        self.assertFalse(os.path.exists(credential))

    @needs_door
    def test_both_doors_refuse_every_call(self):
        officer = self.vault.door("officer")
        ticket = {"ticket": officer.ticket(1)}
        for method in ("Find", "Get", "Count", "BeginImport"):
            self.assertEqual((officer.call(method, ticket).status, officer.call(method, ticket).code),
                             (503, "unavailable"), method)
        refused = officer.admin("ListPrincipals", {})
        self.assertEqual((refused.status, refused.json["message"]), (503, SEALED))

    @needs_door
    def test_the_gateways_door_says_what_to_do(self):
        officer = self.vault.door("officer")
        ticket = {"ticket": officer.ticket(1)}
        for method in ("Find", "Get", "Count"):
            self.assertEqual(officer.call(method, ticket).json["message"], SEALED)

    def test_a_name_in_any_script(self):
        path = self.vault.path("named")
        for name in ("", "a\nb", "\x1b[2J", "\x9b2J", "x" * 121, b"\xff"):
            self.assert_refused(Vault.run(self.vault, "init", path, "--name", name, who=None), "a vault's name is UTF-8")
            self.assertFalse(os.path.exists(path))
        for name in ("城市登记处", "Stadtbüro", "x" * 120):
            Vault.run(self.vault, "init", path, "--name", name, who=None)
            with open(os.path.join(path, "keyserver", "vault.json"), encoding="utf-8") as file:
                self.assertEqual(json.load(file)["name"], name)
            shutil.rmtree(path)

    def test_init_does_not_touch_it(self):
        before = fingerprint(os.path.join(self.vault.dir, "keyserver"))
        self.assert_refused(self.vault.run("init", self.vault.dir, who=None), "it was not touched")
        self.assertEqual(fingerprint(os.path.join(self.vault.dir, "keyserver")), before)

    def test_what_init_made_is_for_its_maker_alone(self):
        self.assertEqual(sorted(os.listdir(os.path.join(self.vault.dir, "credentials"))),
                         ["approver1.json", "approver2.json", "approver3.json", "officer.json", "operator.json"])
        self.assertFalse(os.path.exists(os.path.join(self.vault.dir, "keyserver", "dev-root.key")))
        self.assert_modes()


class Unsealing(FoundedTest):
    def setUp(self):
        self.vault.restart()
        self.one, self.two, self.three = self.vault.shares

    def assert_opens(self, *shares):
        for share in shares[:-1]:
            self.assertEqual(self.vault.give(share).stdout, "Taken: 1 of 2 shares\n")
        self.assertEqual(self.vault.give(shares[-1]).stdout, "The vault is open.\n")
        self.assertFalse(self.vault.json("status", who="officer")["sealed"])

    def test_one_share_is_too_few(self):
        self.assertEqual(self.vault.give(self.one).stdout, "Taken: 1 of 2 shares\n")
        self.assert_given(1)
        self.assert_refused(self.vault.run("principal", "list", who="officer"), SEALED)

    def test_any_two_open_it_in_any_order(self):
        self.assert_opens(self.three, self.one)
        self.vault.restart()
        self.assert_given(0)
        self.assert_opens(self.two, self.three)

    def test_one_more_than_enough_does_no_harm(self):
        self.assert_opens(self.one, self.two)
        self.assertEqual(self.vault.give(self.three).stdout, "The vault is open.\n")

    def test_the_same_share_twice_is_one_share(self):
        self.vault.give(self.one)
        self.assert_refused(self.vault.give(self.one, who="operator"),
                            "this share was given already; another one is needed")
        self.assert_given(1)
        self.assert_opens(self.two)

    def test_a_mistyped_share_is_not_counted(self):
        self.vault.give(self.one)
        for at in (12, 50, len(self.two) - 1):
            typed = self.two[:at] + DIGITS[DIGITS.index(self.two[at]) ^ 1] + self.two[at + 1:]
            self.assert_refused(self.vault.give(typed), "mistyped; read it again")
            refused = json.loads(self.vault.give(typed, "--json").stdout)
            self.assertEqual(refused["error"]["code"], "invalid_argument")
        self.assert_given(1)
        self.assert_opens(self.two)

    def test_what_is_no_share_is_not_counted(self):
        for text, why in (
                ("", "a share has 22 groups of 4 characters"), ("open sesame", "not a share"),
                (self.one[:60], "some are missing or too many"), (self.one + "0000", "some are missing or too many"),
                (self.one[:30] + "!" + self.one[31:], "a character of the share is none that shares use"),
                (self.one * 20, "too long to be a share")):
            self.assert_refused(self.vault.give(text), why)
        self.assert_given(0)

    def test_a_share_of_another_vault_is_not_taken(self):
        other = self.vault.path("other")
        strangers = json.loads(Vault.run(self.vault, "init", other, "--shares", "3", "--threshold", "2", "--json",
                                         who=None).stdout)["shares"]
        shutil.rmtree(other)
        self.assert_refused(self.vault.give(strangers[0]), "this share is of another vault")
        self.assert_given(0)
        self.vault.give(self.one)
        self.assert_refused(self.vault.give(strangers[1]), "it was not taken")
        self.assert_given(1)
        self.assert_opens(self.two)

    def test_a_wrong_share_that_looks_right_is_told_when_it_does_not_open(self):
        body = bytearray(decode(self.one))
        self.assertEqual(encode(bytes(body)), self.one)
        body[Y] ^= 1
        self.assertEqual(self.vault.give(encode(bytes(body))).stdout, "Taken: 1 of 2 shares\n")
        self.assert_refused(self.vault.give(self.two),
                            "these shares do not open this vault; all of them have to be given again")
        self.assert_given(0)
        self.assert_opens(self.one, self.two)

    def test_a_share_that_says_another_threshold_is_not_taken(self):
        body = bytearray(decode(self.one))
        body[2] = 3
        self.assert_refused(self.vault.give(encode(bytes(body))), "share")
        self.assert_opens(self.one, self.two)

    def test_a_share_that_nobody_was_given_is_not_taken(self):
        """Nor does it drop those that were."""
        self.vault.give(self.one)
        for at, value in ((1, 4), (1, 255), (2, 1), (2, 3), (2, 255)):
            body = bytearray(decode(self.two))
            body[at] = value
            self.assert_refused(self.vault.give(encode(bytes(body))), "another number or threshold")
            self.assert_given(1)
        self.assert_opens(self.two)

    def test_a_share_is_read_as_people_write_it(self):
        written = self.one.upper().replace("-", " ").replace("0", "O").replace("1", "I")
        self.assert_opens(written, "\t" + self.two.replace("-", ""))

    def test_a_share_typed_on_a_terminal_is_not_shown(self):
        ours, theirs = pty.openpty()
        try:
            typing = self.vault.popen("unseal", who="officer", stdin=theirs)
            self.assertEqual(os.read(typing.stderr.fileno(), 1), b"Y")
            self.assertFalse(termios.tcgetattr(theirs)[3] & termios.ECHO, "asked for it while it would be shown")
            os.write(ours, (self.one + "\n").encode())
            out, err = typing.communicate(timeout=START_S)
            self.assertEqual((typing.returncode, out, b"Y" + err),
                             (0, b"Taken: 1 of 2 shares\n", b"Your share: \n" + NOT_VERIFIED))
            self.assertTrue(termios.tcgetattr(theirs)[3] & termios.ECHO, "the terminal shows again what is typed")
            os.set_blocking(ours, False)
            with self.assertRaises(BlockingIOError):
                os.read(ours, 4096)
        finally:
            os.close(ours)
            os.close(theirs)

    def test_a_share_is_not_taken_from_the_command_line(self):
        outcome = Vault.run(self.vault, "unseal", self.one, who="officer")
        self.assertEqual((outcome.status, outcome.stdout), (2, ""))
        self.assert_given(0)

    def test_a_share_on_the_command_line_is_not_repeated(self):
        for command in (("unseal",), ("unseal", "--share"), (), ("init", "new", "--threshold"), ("serve", "x"),
                        ("principal", "list"), ("find", "person", "name=x", "--purpose", "service", "--limit")):
            outcome = self.vault.run(*command, self.one, who="officer")
            self.assertEqual((outcome.status, outcome.stdout, outcome.stderr.count("\n")), (2, "", 1), outcome)
            self.assertIn("--help`", outcome.stderr)
        self.assertIn("--limit does not take this value; see `strongroom find --help`", outcome.stderr)


class Opened(FoundedTest):
    """Everything done once, as docs/commands.md says; then what came of it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        vault = cls.vault
        for founder in ("operator", "officer"):
            # Handed over, and deleted there.
            os.mkdir(vault.path(founder), 0o700)
            path = os.path.join(vault.path(founder), "founded.json")
            shutil.move(vault.credential(founder), path)
            vault.handed[founder] = path
        vault.open(1, 2)
        for founder in ("operator", "officer"):
            # A key that nobody else has seen takes the place of the one that `init` made.
            key, path = vault.path(founder + ".key"), os.path.join(vault.path(founder), "own.json")
            vault.must("key", "new", "-o", key, who=None)
            vault.must("principal", "rekey", founder, "--public-key", key + ".pub", who=founder)
            shutil.copy(vault.handed[founder], path)
            vault.edit(path, private_key=None, key_file=key)
            vault.handed["founded " + founder], vault.handed[founder] = vault.handed[founder], path
        cls.too_early = vault.run("policy", "apply", POLICY, who="officer")
        for path in COLLECTIONS:
            vault.must("collection", "apply", path, who="operator")
        cls.by_operator = vault.run("policy", "apply", POLICY, who="operator")
        cls.applied = vault.json("policy", "apply", POLICY, who="officer")
        cls.before_approval = vault.json("policy", "show", who="officer")["version"]
        vault.approve(cls.applied["request"])
        cls.csv = vault.generate("person", PEOPLE)
        cls.people = list(csv.DictReader(io.StringIO(cls.csv)))
        cls.import_ = ("import", "person", vault.write("people.csv", cls.csv), "--key", "national_id", "--json")
        cls.imported = vault.must(*cls.import_, who="operator")
        vault.handed["alice"] = vault.add_principal("alice", "clerk")

    def person(self, row, **options):
        found = self.vault.find("person", f"phone={row['phone']}", who="alice", **options)["records"]
        self.assertEqual([record["fields"] for record in found], [{**row, "phone": "+86" + row["phone"]}])
        return found[0]

    def test_who_has_a_new_key_cannot_use_the_founding_one(self):
        for founder in ("operator", "officer"):
            self.assert_refused(self.vault.run("principal", "list", who="founded " + founder),
                                "signature is not by the principal's registered key")
            self.vault.must("principal", "list", who=founder)

    def test_setting_the_key_file_is_enough_after_a_rekey(self):
        path = os.path.join(self.vault.path("operator"), "both.json")
        shutil.copy(self.vault.credential("founded operator"), path)
        self.vault.edit(path, key_file=self.vault.path("operator.key"))
        self.vault.must("principal", "list", who=path)
        self.vault.edit(path, key_file="nowhere.key")
        self.assert_refused(self.vault.run("principal", "list", who=path),
                            "the key file that the credential names is not there")

    def test_the_operator_applies_collections_and_the_officer_the_policy(self):
        self.assert_refused(self.too_early, "A grant names a collection that does not exist. Apply it first.")
        self.assert_refused(self.by_operator, "Your role lacks the power to do this")
        self.assert_refused(self.vault.run("collection", "apply", COLLECTIONS[0], who="officer"),
                            "Your role lacks the power to do this")
        self.assertEqual((self.applied["changed"], self.applied["version"]), (True, 2))
        self.assertEqual(self.before_approval, 1)
        listed = self.vault.json("collection", "list", who="alice")["collections"]
        self.assertEqual([collection["name"] for collection in listed], ["person", "incident", "parcel", "legislator"])

    def test_all_people_are_taken_in_once(self):
        counts = {"imported": PEOPLE, "updated": 0, "unchanged": 0, "rejected": 0}
        self.assertEqual(json.loads(self.imported.stdout), counts)
        again = self.vault.json(*self.import_[:-1], "--again", who="operator")
        self.assertEqual(again, {**counts, "imported": 0, "unchanged": PEOPLE})

    def test_the_clerk_finds_one_and_the_founders_do_not(self):
        row = self.people[PEOPLE // 2]
        record = self.person(row)
        for founder in ("operator", "officer"):
            for command in (("find", "person", f"phone={row['phone']}"), ("get", "person", record["id"]),
                            ("count", "person", f"phone={row['phone']}")):
                outcome = self.vault.run(*command, "--purpose", "service", who=founder)
                self.assert_refused(outcome, "role")
                self.assertNotIn(row["name"], outcome.stderr)
        self.assert_refused(self.vault.run(*self.import_[:-1], "--again", who="alice"), "role")

    def test_the_log_verifies_and_says_who_did_what(self):
        row = self.people[3]
        self.person(row, case="F-1")
        tail = self.vault.must("log", "tail", "-n", "1000", who="officer").stdout
        for text in ("principal officer, officer, .*by init", "principal operator, operator, .*by operator",
                     "collection person revision 1, by operator", "asked as request 1, by officer",
                     "approved request 1; policy version 2, by approver2",
                     "200 records written, by operator for import", "principal alice, clerk, .*by approver2",
                     "1 record opened, by alice for investigation F-1"):
            self.assertRegex(tail, text)
        self.assertNotIn(row["phone"], tail)
        log = os.path.join(self.vault.dir, "keyserver", "log")
        reports = [self.vault.json("log", "verify", *where, who="officer") for where in ([], [log])]
        self.assertTrue(all(report["verified"] for report in reports))

    def test_the_log_names_both_founders(self):
        first = self.vault.must("log", "tail", "-n", "1000", who="officer").stdout.splitlines()[1]
        self.assertRegex(first, "operator.*officer.* by init")

    def test_killed_it_is_sealed_again_and_opens_with_another_pair(self):
        row = self.people[7]
        before = self.person(row)
        size = self.vault.json("log", "verify", who="officer")["size"]
        self.vault.kill()
        self.vault.serve()
        self.assert_given(0)
        find = ("find", "person", f"phone={row['phone']}", "--purpose", "service", "--json")
        self.assertEqual(json.loads(self.vault.run(*find, who="alice").stdout)["error"]["message"], SEALED_UNVERIFIED)
        self.vault.open(2, 3)
        self.assertEqual(json.loads(self.vault.must(*find, who="alice").stdout)["records"], [before])
        report = self.vault.json("log", "verify", who="officer")
        self.assertTrue(report["verified"])
        self.assertGreater(report["size"], size)
        self.assertEqual(self.vault.json(*self.import_[:-1], "--again", who="operator")["unchanged"], PEOPLE)

    def test_no_secret_lies_where_it_does_not_belong(self):
        """Every output of every command was looked through as it came; here is what is on the disk."""
        self.vault.restart()
        self.vault.open(1, 3)
        self.assert_modes()
        for path in glob.glob(self.vault.path("*.key*")):
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600, path)
        self.assertEqual(glob.glob(os.path.join(self.vault.dir, "run", "*.key")), [])
        self.vault.stop()
        files = fingerprint(self.vault.base)
        found = set()
        for name, secret, places in self.vault.secrets():
            holders = [path for path, data in files.items() if secret in data]
            self.assertEqual([path for path in holders if path not in places], [], name)
            found.update(holders)
        # So that it is known to be able to find something.
        self.assertLessEqual({self.vault.path("alice.key"), os.path.join(self.vault.dir, "gateway", "term.key"),
                              os.path.join(self.vault.dir, "keyserver", "ca.key")}, found)
        self.vault.serve()
        self.vault.open(1, 3)

    def test_the_root_key_that_is_looked_for_is_the_true_one(self):
        check = hmac.new(root_of(*self.vault.shares[1:]), b"sr1.root-check", "sha256").hexdigest()
        with open(os.path.join(self.vault.dir, "keyserver", "vault.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file)["root_check"], check)


if __name__ == "__main__":
    unittest.main(verbosity=2)
