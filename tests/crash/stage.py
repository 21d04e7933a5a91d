"""What all these tests start from: a store that holds one presentation, and a second cache to be packed into it."""
import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../faults"))
from programs import FULL, Programs, read_tensors, temporaries, tree, unsound, write_kv_file  # noqa: E402, F401

ROUNDS = 200 if FULL else 10


class Stage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.mkdtemp(prefix="kvcast-crash-")
        cls.programs = Programs(sys.argv[1], sys.argv[2], cls.work)
        cls.first, cls.second = os.path.join(cls.work, "first.safetensors"), os.path.join(cls.work, "second.safetensors")
        write_kv_file(cls.first, seed=1)
        write_kv_file(cls.second, seed=2, distinct_from=16)      # shares a prefix entry with the first
        cls.before_store, cls.after_store = os.path.join(cls.work, "before"), os.path.join(cls.work, "after")
        cls.pack(cls.first, cls.before_store, expect=0)
        shutil.copytree(cls.before_store, cls.after_store)
        cls.pack(cls.second, cls.after_store, expect=0)
        cls.before, cls.after = tree(cls.before_store), tree(cls.after_store)
        assert not unsound(cls.after)
        cls.place = os.path.join(cls.work, "place")     # what the shim watches: the store and the folder that holds it
        cls.store = os.path.join(cls.place, "store")
        os.makedirs(cls.place)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.work)

    @classmethod
    def pack(cls, kv, store, **options):
        return cls.programs.run(*cls.pack_arguments(kv, store), **options)

    @staticmethod
    def pack_arguments(kv, store):
        return ["pack", kv, "--out", store, "--chunk-tokens", "16", "--exact", "--threads", "2"]

    def setUp(self):
        self.reset()

    def reset(self):
        shutil.rmtree(self.store, ignore_errors=True)
        shutil.copytree(self.before_store, self.store)

    def expect_sound(self, files, note):
        """Nothing published before is lost, nothing is half visible. The shared prefix entry may name either presentation."""
        self.assertIsNone(unsound(files), note)
        for path, content in self.before.items():
            self.assertIn(path, files, note)
            self.assertIn(files[path], (content, self.after[path]), f"{note}: {path}")

    def expect_next_run_ends_it(self, store, note):
        self.pack(self.second, store, expect=0)
        files = tree(store)
        self.assertEqual(temporaries(files), [], note)
        self.assertEqual(sorted(files), sorted(self.after), note)
        self.assertEqual(files, self.after, note)


def main():
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
