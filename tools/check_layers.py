#!/usr/bin/python3
"""Holds the tree to the layers of the design: folders are trust roles, a lower never includes a higher.

check_layers.py [ROOT]   prints one line per breach and exits 1 if there is any.
"""
import pathlib
import re
import sys

# What each module may depend on. `proto` is the API definition's generated code, which depends on
# nothing of ours.
# Never: store on crypto (it is trusted with nothing), gateway on keytree, keyserver on store or index.
CRYPTO = {"base", "env", "crypto"}
ALLOWED = {
    "base": set(),
    "env": {"base"},
    "crypto": {"base", "env"},
    "tpm": {"base"},
    "record": CRYPTO,
    "keytree": CRYPTO,
    "tlog": CRYPTO,
    "index": CRYPTO,
    "watch": {"base", "proto"},
    "policy": {"base", "env", "watch", "proto"},
    "store": {"base", "env"},
    "synth": CRYPTO,
    "drill": {"base", "store", "synth"},  # Attackers: no crypto, so that they cannot use a key.
    "intake": CRYPTO | {"proto"},
    "rpc": CRYPTO | {"proto"},
    # Alone talks to the outside: it gets alarms and nothing else.
    "sender": CRYPTO | {"watch", "rpc", "proto"},
    "keyserver": CRYPTO | {"policy", "watch", "tlog", "keytree", "proto"},
    "gateway": CRYPTO | {"record", "index", "store", "proto"},
    "compactor": CRYPTO | {"record", "index", "store", "proto"},
    "backup": CRYPTO | {"proto"},
    "leak": CRYPTO | {"record", "index", "store", "proto"},
}
ON_TOP = {"app", "sim"}  # May depend on everything.

# Libraries that stay in one folder: (what, its headers, the folder). A header of ours that reaches one is
# private to that folder, so that no other gets the library through it.
LIBRARY_RULES = [
    ("OpenSSL", re.compile(r"openssl/"), "crypto"),
    ("libsodium", re.compile(r"sodium(\.h$|/)"), "crypto"),
    ("RocksDB", re.compile(r"rocksdb/"), "store"),
    ("tpm2-tss", re.compile(r"tss2/"), "tpm"),
    ("Boost", re.compile(r"boost/"), "rpc"),
]
# Calls only some folders may make: (what, pattern over code without comments and strings, where).
CALL_RULES = [
    ("the system clock (take an env::Clock)",
     re.compile(r"\bsystem_clock\b|\bhigh_resolution_clock\b"
                r"|\bclock_gettime\s*\(|\bgettimeofday\s*\("
                r"|(?<![\w.>])time\s*\(\s*(?:nullptr|NULL|0|&\w+)\s*\)"),
     lambda f: f.is_test or f.module == "env"),
    ("a random generator of the library (take crypto/random.h)",
     re.compile(r"(?<![\w.>])s?rand\s*\("
                r"|\b(?:mt19937(?:_64)?|minstd_rand0?|default_random_engine|random_device)\b"),
     lambda f: f.is_test or f.module in ("synth", "sim")),
]

SOURCE_SUFFIXES = {".h", ".cc", ".inc"}
TEST_SUFFIXES = ("_test", "_bench", "_fuzz", "_testing")
TOKEN = re.compile(
    r'R"(?P<delim>[^()\\ ]{0,16})\(.*?\)(?P=delim)"'
    r"|//[^\n]*|/\*.*?\*/"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",  # Not the separators of 1'000'000.
    re.DOTALL)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"\n]+)[>"]', re.MULTILINE)
MODULE_CALL = re.compile(r"\bstrongroom_module\s*\(([^)]*)\)", re.DOTALL)
KEYWORDS = {"SOURCES", "DEPENDS", "LIBRARIES", "PRIVATE_LIBRARIES"}


class SourceFile:
    def __init__(self, root, path):
        self.path = path
        self.name = str(path.relative_to(root))
        self.include_name = str(path.relative_to(root / "src"))
        self.module = path.relative_to(root / "src" / "strongroom").parts[0]
        self.is_test = path.stem.endswith(TEST_SUFFIXES)
        text = path.read_text(encoding="utf-8")
        without_comments = TOKEN.sub(lambda m: _blank(m) if m[0].startswith("/") else m[0], text)
        found = INCLUDE.finditer(without_comments)
        self.includes = [(_line(without_comments, m), m[1]) for m in found]
        self.code = TOKEN.sub(_blank, text)


def _blank(match):
    return " " + "\n" * match[0].count("\n")


def _line(text, match):
    return text.count("\n", 0, match.start()) + 1


def declared_depends(cmake_text):
    """What all strongroom_module calls depend on, or None where there is no such call.

    A strongroom_x among the LIBRARIES is the module x all the same.
    """
    calls = MODULE_CALL.findall(re.sub(r"#[^\n]*", "", cmake_text))
    depends = set()
    for call in calls:
        keyword = ""
        for word in call.split():
            if word in KEYWORDS:
                keyword = word
            elif keyword == "DEPENDS":
                depends.add(word)
            elif keyword in KEYWORDS and word.startswith("strongroom_"):
                depends.add(word.removeprefix("strongroom_"))
    return depends if calls else None


def included_module(include):
    """The module an include names; None for a library's header."""
    parts = include.split("/")
    if parts[0] != "strongroom" or len(parts) < 3:
        return None
    return "proto" if parts[1] == "v1" else parts[1]


def find_cycle(edges):
    """One cycle of the graph as a list of modules, or None."""
    done, path = set(), []

    def visit(node):
        if node in path:
            return path[path.index(node):] + [node]
        if node in done:
            return None
        path.append(node)
        for successor in sorted(edges.get(node, ())):
            cycle = visit(successor)
            if cycle:
                return cycle
        done.add(path.pop())
        return None

    return next(filter(None, map(visit, sorted(edges))), None)


def reaching(files, pattern):
    """Names, as an include has them, of our headers that include what matches, directly or not."""
    includes = {f.include_name: {i for _, i in f.includes} for f in files}
    found = {name for name, own in includes.items() if any(pattern.match(i) for i in own)}
    while True:
        more = {name for name, own in includes.items() if name not in found and own & found}
        if not more:
            return found
        found |= more


def check_depends(folder, name, depends):
    where = f"{folder}/CMakeLists.txt"
    if name not in ALLOWED and name not in ON_TOP:
        return [f"{where}: module {name} has no row in tools/check_layers.py; add what it may use"]
    if name in ON_TOP:
        return []
    return [f"{where}: {name} may not depend on {d}" for d in sorted(depends - ALLOWED[name])]


def check_modules(file, depends):
    return [f"{file.name}:{line}: includes {module}, which {file.module} does not declare in DEPENDS"
            for line, include in file.includes if (module := included_module(include))
            and module != file.module and not file.is_test and module not in depends]


def check_calls(file):
    return [f"{file.name}:{_line(file.code, match)}: uses {what}"
            for what, pattern, allowed in CALL_RULES if not allowed(file)
            for match in pattern.finditer(file.code)]


def check_libraries(files):
    breaches = []
    for what, pattern, home in LIBRARY_RULES:
        private = reaching(files, pattern)
        for file in files:
            if file.module != home:
                breaches += [f"{file.name}:{line}: {what} may not be used outside {home} ({include})"
                             for line, include in file.includes
                             if pattern.match(include) or include in private]
    return breaches


def check(root):
    root = pathlib.Path(root).resolve()
    breaches, edges, all_files = [], {}, []
    for folder in sorted(p for p in (root / "src" / "strongroom").iterdir() if p.is_dir()):
        name, where = folder.name, folder.relative_to(root)
        cmake = folder / "CMakeLists.txt"
        depends = declared_depends(cmake.read_text(encoding="utf-8")) if cmake.exists() else None
        paths = sorted(p for p in folder.rglob("*") if p.suffix in SOURCE_SUFFIXES)
        files = [SourceFile(root, p) for p in paths]
        all_files += files
        if depends is None:
            if any(f.path.suffix == ".cc" for f in files):
                breaches.append(f"{where}: has sources but no strongroom_module in a CMakeLists.txt")
            continue
        edges[name] = depends
        breaches += check_depends(where, name, depends)
        used = {included_module(i) for f in files if not f.is_test for _, i in f.includes}
        breaches += [f"{where}/CMakeLists.txt: {name} declares {d} but includes nothing of it"
                     for d in sorted(depends - used)]
        for file in files:
            breaches += check_modules(file, depends) + check_calls(file)
    breaches += check_libraries(all_files)
    cycle = find_cycle(edges)
    if cycle:
        breaches.append("cycle in DEPENDS: " + " -> ".join(cycle))
    return breaches


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    breaches = check(root)
    for breach in breaches:
        print(breach)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
