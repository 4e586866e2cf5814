#!/usr/bin/python3
"""Tiny trees, each with one breach, and one without."""
import pathlib
import tempfile
import unittest

import check_layers

BASE = {"base/CMakeLists.txt": "strongroom_module(base SOURCES a.cc)", "base/a.h": ""}


def module(name, depends):
    return {f"{name}/CMakeLists.txt": f"strongroom_module({name} SOURCES a.cc DEPENDS {depends} LIBRARIES z)"}


class CheckLayersTest(unittest.TestCase):
    def breaches(self, *trees):
        with tempfile.TemporaryDirectory() as root:
            for tree in trees:
                for name, text in tree.items():
                    path = pathlib.Path(root, "src/strongroom", name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text, encoding="utf-8")
            return check_layers.check(root)

    def assert_one(self, expected, *trees):
        breaches = self.breaches(BASE, *trees)
        self.assertEqual(len(breaches), 1, breaches)
        self.assertIn(expected, breaches[0])

    def test_a_tree_within_the_layers_passes(self):
        self.assertEqual([], self.breaches(
            BASE, module("env", "base"), {"env/a.cc": '#include "strongroom/base/a.h"\nauto t = clock_gettime(0, &x);'},
            module("store", "base env"), {
                "store/a.cc": '#include "strongroom/env/a.h"\n#include <rocksdb/db.h>\n',
                "store/a.h": '#pragma once\n#include "strongroom/base/a.h"\n#include "strongroom/store/b.h"\n'},
            module("rpc", "base proto"), {
                "rpc/a.cc": '#include <boost/asio/ssl.hpp>\n#include "strongroom/base/a.h"\n'
                            '#include "strongroom/v1/vault.pb.h"\n'}))

    def test_an_undeclared_module_is_refused(self):
        self.assert_one("env/a.cc:2: includes crypto, which env does not declare",
                        module("env", "base"),
                        {"env/a.cc": '#include "strongroom/base/a.h"\n#include "strongroom/crypto/a.h"\n'})

    def test_a_forbidden_edge_is_refused_though_declared(self):
        for name, depends in (("store", "crypto"), ("gateway", "keytree"), ("keyserver", "store"),
                              ("keyserver", "index"), ("base", "env"), ("policy", "crypto")):
            include = {f"{name}/a.cc": f'#include "strongroom/{depends}/a.h"\n'}
            self.assert_one(f"{name} may not depend on {depends}", module(name, depends), include)

    def test_a_declared_module_nothing_includes_is_refused(self):
        self.assert_one("env declares base but includes nothing", module("env", "base"), {"env/a.cc": ""})

    def test_the_top_may_depend_on_everything(self):
        self.assertEqual([], self.breaches(BASE, module("app", "base gateway"), {
            "app/a.cc": '#include "strongroom/base/a.h"\n#include "strongroom/gateway/a.h"\n'}))

    def test_an_unknown_module_is_refused(self):
        self.assert_one("module shed has no row", module("shed", ""), {"shed/a.cc": ""})

    def test_sources_without_a_module_are_refused(self):
        self.assert_one("no strongroom_module", {"env/a.cc": ""})

    def test_a_cycle_is_refused(self):
        breaches = self.breaches(BASE, module("env", "crypto"), {"env/a.h": '#include "strongroom/crypto/a.h"\n'},
                                 module("crypto", "env"), {"crypto/a.h": '#include "strongroom/env/a.h"\n'})
        self.assertIn("cycle in DEPENDS: crypto -> env -> crypto", breaches)

    def test_libraries_stay_in_their_folders(self):
        for what, name, file, include in (
                ("OpenSSL", "rpc", "a.cc", "<openssl/evp.h>"), ("libsodium", "tlog", "a.cc", "<sodium.h>"),
                ("libsodium", "tlog", "a_test.cc", "<sodium/core.h>"), ("RocksDB", "app", "a.cc", "<rocksdb/db.h>"),
                ("Boost", "gateway", "a.cc", "<boost/asio.hpp>")):
            self.assert_one(f"{what} may not be used outside", module(name, ""),
                            {f"{name}/{file}": f"#include {include}\n"})

    def test_a_header_that_reaches_a_library_is_private_to_its_folder(self):
        breaches = self.breaches(BASE, module("rpc", ""), module("app", "rpc"), {
            "rpc/loop.h": "#include <boost/asio.hpp>\n", "rpc/door.h": '#include "strongroom/rpc/loop.h"\n',
            "rpc/public.h": "", "rpc/door.cc": '#include "strongroom/rpc/door.h"\n',
            "app/a.cc": '#include "strongroom/rpc/public.h"\n#include "strongroom/rpc/door.h"\n'})
        self.assertEqual(1, len(breaches), breaches)
        self.assertIn("app/a.cc:2: Boost may not be used outside rpc", breaches[0])

    def test_time_and_chance_are_injected(self):
        for call in ("std::chrono::system_clock::now()", "time(nullptr)", "std::time(NULL)", "::time(0)",
                     "time(&now)", "clock_gettime(CLOCK_REALTIME, &t)", "gettimeofday(&t, nullptr)"):
            self.assert_one("policy/a.cc:1: uses the system clock", module("policy", ""), {"policy/a.cc": call})
        for call in ("rand()", "srand(7)", "std::rand()", "std::mt19937_64 r;", "std::random_device{}()"):
            self.assert_one("policy/a.cc:1: uses a random generator", module("policy", ""), {"policy/a.cc": call})

    def test_what_only_looks_like_a_breach_passes(self):
        self.assertEqual([], self.breaches(BASE, module("policy", ""), {
            "policy/a.cc": '// #include <openssl/evp.h>, time(nullptr)\n/*\n#include "strongroom/store/a.h"\n*/\n'
                           'auto s = "rand()"; auto r = R"x(time(nullptr) "quoted")x"; int n = 1\'000\'000;\n'
                           "x.time(0); wall_time(0); uint64_t time() const; operand(1);\n"}))

    def test_tests_may_include_more(self):
        text = '#include "strongroom/store/a.h"\nstd::mt19937 r;\n'
        self.assertEqual([], self.breaches(BASE, module("policy", ""), {
            "policy/x_testing.h": text, "policy/a_test.cc": text, "policy/a_fuzz.cc": text, "policy/a_bench.cc": text}))

    def test_comments_in_cmake_are_no_dependencies(self):
        self.assertEqual({"base"}, check_layers.declared_depends(
            "strongroom_module(x SOURCES a.cc  # DEPENDS crypto\n  DEPENDS base)\nstrongroom_test(y DEPENDS env)"))

    def test_a_module_among_the_libraries_is_a_dependency(self):
        self.assertEqual({"base", "keytree"}, check_layers.declared_depends(
            "strongroom_module(x SOURCES a.cc DEPENDS base PRIVATE_LIBRARIES z::z strongroom_keytree)"))


if __name__ == "__main__":
    unittest.main()
