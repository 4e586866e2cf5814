"""Random data, imports, updates, restarts and exact queries: the vault must answer as a plain model in Python does.

    e2e_model.py [--queries N] [--seed S]
"""

import collections
import random
import re
import sys
import unittest

from vault import national_id, needs_door, seed_from, Vault

COLLECTIONS = {
    "person": (1, "national_id", ["name", "national_id", "phone", "dob", "address"]),
    "incident": (2, "report_no",
                 ["report_no", "date", "place", "category", "summary", "reporter_id", "reporter_phone"]),
    "parcel": (3, "tracking_no", ["tracking_no", "sent", "sender_name", "sender_phone", "recipient_name",
                                  "recipient_phone", "address", "content"]),
}
NOT_INDEXED = {"summary", "content"}
REQUIRED = {"person": "name", "incident": "report_no", "parcel": "tracking_no"}
NAMES = ["王伟", "李娜", "Ann Lee", "ann  lee", "ＡＮＮ ＬＥＥ", "Straße", "STRASSE", "欧阳娜娜", "O'Neill", "Ñandú",
         "N\u0303andu\u0301"]
PLACES = ["人民路1号", "人民路 1号", "Main St 5", "MAIN ST 5", "号", "Ⅳ区", "iv区", "x" * 300]
CATEGORIES = ["盗窃", "Theft", "theft", "交通纠纷"]


def argument(name, default):
    if name not in sys.argv:
        return default
    at = sys.argv.index(name)
    value = sys.argv[at + 1]
    del sys.argv[at:at + 2]
    return value


def kind_of(field):
    if "phone" in field:
        return "phone"
    if field in ("dob", "date", "sent"):
        return "date"
    if field in ("national_id", "reporter_id"):
        return "id"
    if field in ("report_no", "tracking_no"):
        return "code"
    return "text"


def norm(field, value):
    """A value's normal form, for the values made here: written anew, not taken from strongroom."""
    import unicodedata
    kind = kind_of(field)
    if kind == "phone":
        digits = re.sub(r"[^0-9]", "", value)
        return "+86" + digits[-11:]
    if kind == "date":
        year, month, day = re.split(r"[-/.]", value)
        return f"{int(year):04d}-{int(month):02d}-{int(day):02d}"
    if kind == "id":
        return value.upper()
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold())
    return " ".join(folded.split())


def stored(field, value):
    """A value as it comes back."""
    import unicodedata
    return norm(field, value) if kind_of(field) in ("phone", "date") else unicodedata.normalize("NFC", value.strip())


class Model:
    """Records as plain dictionaries, and the queries over them."""

    def __init__(self):
        self.records = {name: {} for name in COLLECTIONS}  # By normal form of the key; rows without key under a number.
        self.loose = 0

    def upsert(self, collection, row):
        key_field = COLLECTIONS[collection][1]
        key = norm(key_field, row[key_field]) if row[key_field] else None
        if key is None:
            self.loose += 1
            key = self.loose
        before = self.records[collection].get(key)
        fields = {field: stored(field, value) for field, value in row.items() if value}
        self.records[collection][key] = fields
        return "imported" if before is None else "unchanged" if before == fields else "updated"

    def find(self, collection, terms):
        wanted = [(field, norm(field, value)) for field, value in terms]
        return [fields for fields in self.records[collection].values()
                if all(field in fields and norm(field, fields[field]) == value for field, value in wanted)]


class RandomRows:
    """Rows with many repeated values, in several spellings."""

    def __init__(self, rng):
        self.rng = rng
        self.made = 0

    def spelling(self, kind, value):
        rng = self.rng
        if kind == "phone":
            return rng.choice((value, "+86" + value, f"{value[:3]} {value[3:7]} {value[7:]}",
                               f"{value[:3]}-{value[3:]}",
                               "0086" + value))
        if kind == "date":
            return rng.choice((value, value.replace("-", "/"), value.replace("-0", "-")))
        if kind == "code":
            return rng.choice((value, value.lower()))
        if kind == "id":
            return rng.choice((value, value.lower()))
        return value

    def value(self, field):
        rng = self.rng
        kind = kind_of(field)
        if kind == "phone":
            made = f"138{rng.randrange(40):08d}"
        elif kind == "date":
            made = f"{rng.randrange(1979, 1982)}-{rng.randrange(1, 5):02d}-{rng.randrange(1, 29):02d}"
        elif kind == "id":
            made = national_id(110101, f"{rng.randrange(1950, 2000)}0{rng.randrange(1, 10)}15", rng.randrange(4))
        elif kind == "code":
            made = f"C{rng.randrange(3000):05d}X"
        elif field == "category":
            made = rng.choice(CATEGORIES)
        elif field in ("address", "place"):
            made = rng.choice(PLACES)
        elif field in NOT_INDEXED:
            made = "记录" * rng.randrange(20)
        else:
            made = rng.choice(NAMES)
        return self.spelling(kind, made)

    def row(self, collection, key=None):
        _, key_field, fields = COLLECTIONS[collection]
        row = {field: self.value(field) if self.rng.random() < 0.85 else "" for field in fields}
        if not row[REQUIRED[collection]]:
            row[REQUIRED[collection]] = self.value(REQUIRED[collection])
        if key is not None:
            row[key_field] = key
        return row


def quote(value):
    return '"' + value.replace('"', '""') + '"'


@needs_door
class ModelTest(unittest.TestCase):
    queries, seed = 300, 0

    def setUp(self):
        self.rng = random.Random(self.seed)
        self.vault = self.enterContext(Vault())
        self.vault.raise_budgets()
        self.model = Model()
        self.random_rows = RandomRows(self.rng)
        self.files = 0

    def import_some(self, collection, count):
        """Rows by --key: new ones, repeats of the same in other spellings, and changed ones."""
        _, key_field, fields = COLLECTIONS[collection]
        rows = []
        known = [record[key_field] for record in self.model.records[collection].values() if key_field in record]
        for _ in range(count):
            row = self.random_rows.row(collection)
            if known and self.rng.random() < 0.3:
                row[key_field] = self.random_rows.spelling(kind_of(key_field), self.rng.choice(known))
            if not row[key_field]:
                row[key_field] = self.random_rows.value(key_field)
            rows.append(row)
        self.files += 1
        text = ",".join(fields) + "\n" + "".join(",".join(quote(row[field]) for field in fields) + "\n" for row in rows)
        counts = self.vault.import_csv(collection, text, "--key", key_field, name=f"f{self.files}.csv")
        expected = collections.Counter(self.model.upsert(collection, row) for row in rows)
        self.assertEqual(counts, {"imported": expected["imported"], "updated": expected["updated"],
                                  "unchanged": expected["unchanged"], "rejected": 0}, f"file {self.files}")

    def import_loose(self, count):
        """People without an ID number: every row is a record."""
        fields = COLLECTIONS["person"][2]
        rows = [self.random_rows.row("person", key="") for _ in range(count)]
        self.files += 1
        text = ",".join(fields) + "\n" + "".join(",".join(quote(row[field]) for field in fields) + "\n" for row in rows)
        counts = self.vault.import_csv("person", text, name=f"f{self.files}.csv")
        self.assertEqual(counts["imported"], count)
        for row in rows:
            self.model.upsert("person", row)

    def terms(self, collection):
        """1 to 4 terms: mostly of one record, sometimes mixed or of nobody."""
        _, _, fields = COLLECTIONS[collection]
        indexed = [field for field in fields if field not in NOT_INDEXED]
        chosen = self.rng.sample(indexed, self.rng.randint(1, min(4, len(indexed))))
        record = self.rng.choice(list(self.model.records[collection].values()))
        out = []
        for field in chosen:
            if field in record and self.rng.random() < 0.9:
                value = record[field]
                if kind_of(field) == "phone":
                    value = value.removeprefix("+86")
                out.append((field, self.random_rows.spelling(kind_of(field), value)))
            else:
                out.append((field, self.random_rows.value(field)))
        return out

    def query(self):
        client = self.vault.door()
        collection = self.rng.choice(list(COLLECTIONS))
        number = COLLECTIONS[collection][0]
        terms = self.terms(collection)
        expected = self.model.find(collection, terms)
        if self.rng.random() < 0.3:
            reply = client.count(number, terms)
            self.assertEqual(reply.status, 200, (terms, reply.body))
            self.assertEqual(int(reply.json.get("count", 0)), len(expected), (collection, terms))
            return
        limit = self.rng.choice((1, 2, 20, 1000))
        reply = client.find(number, terms, limit=limit)
        self.assertEqual(reply.status, 200, (terms, reply.body))
        records = reply.json.get("records", [])
        self.assertEqual((len(records), reply.json.get("more", False)),
                         (min(limit, len(expected)), len(expected) > limit), (collection, terms, limit))
        left = [tuple(sorted(fields.items())) for fields in expected]
        for record in records:
            self.assertIn(tuple(sorted(record["fields"].items())), left, (collection, terms))
            left.remove(tuple(sorted(record["fields"].items())))
        self.assertEqual(len({record["id"] for record in records}), len(records))

    def test_random_queries_are_answered_as_the_model_answers_them(self):
        for name in COLLECTIONS:
            self.import_some(name, 400)
        # One large enough to be packed, the others in the online lane.
        self.import_loose(5000)
        for done in range(self.queries):
            if done % 40 == 39:
                self.import_some(self.rng.choice(list(COLLECTIONS)), self.rng.randint(1, 300))
            if done % 100 == 99:
                self.vault.restart()
            self.query()


if __name__ == "__main__":
    ModelTest.queries = int(argument("--queries", "300"))
    ModelTest.seed = seed_from(argument("--seed", ""))
    unittest.main(verbosity=2)
