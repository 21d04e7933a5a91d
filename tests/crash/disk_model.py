"""What a disk may hold after a power cut, from the journal of a program's calls (tests/faults/shim.h).

The model is meaner than real file systems, which keep some order among metadata:
- Bytes written are safe once the file was synced. Later writes survive or not, each for itself, or in part; a file may
  already have its new length and read as zeros.
- Names (create, mkdir, rename, unlink) are safe once their folder was synced. Later ones survive or not, each for itself.
  A rename is atomic where one folder holds both names; of a rename between folders each half is that folder's. A folder
  whose own name is lost takes all below with it.
"""
import os

SECTOR = 512


class Inode:
    def __init__(self, is_folder=False):
        self.is_folder = is_folder
        self.data, self.pending = bytearray(), []      # safe bytes; (offset, bytes) or a length, oldest first
        self.names, self.changes = {}, []               # safe names; (name, inode or None, pair) oldest first


def read_journal(path):
    """Operations as tuples; a torn last one, of a killed program, is left out."""
    operations = []
    with open(path, "rb") as f:
        text = f.read()
    at = 0
    while (end := text.find(b"\n", at)) >= 0:
        words = text[at:end].decode().split(" ")
        at = end + 1
        if words[0] == "write":
            size = int(words[3])
            if at + size > len(text):
                break
            operations.append(("write", int(words[1]), int(words[2]), text[at:at + size]))
            at += size
        else:
            operations.append(tuple(int(word) if word.isdigit() else word for word in words))
    return operations


class Disk:
    """A folder `root` whose content at the start is safe; then operations on it."""

    def __init__(self, root):
        self.root, self.by_number, self.pairs = root, {}, 0
        self.top = self.load(root) if os.path.exists(root) else None
        # The folder above is not the program's business until it makes `root` itself.
        self.above = Inode(is_folder=True)
        if self.top:
            self.above.names[os.path.basename(root)] = self.top
        self.by_number[os.stat(os.path.dirname(root)).st_ino] = self.above

    def load(self, path):
        inode = Inode(os.path.isdir(path))
        self.by_number[os.stat(path).st_ino] = inode
        if inode.is_folder:
            inode.names = {name: self.load(os.path.join(path, name)) for name in os.listdir(path)}
        else:
            with open(path, "rb") as f:
                inode.data = bytearray(f.read())
        return inode

    def folder(self, path):
        """As the running program sees it."""
        inode = self.above
        for name in os.path.relpath(os.path.dirname(path), os.path.dirname(self.root)).split("/"):
            if name != ".":
                inode = self.seen(inode)[name]
        return inode

    @staticmethod
    def seen(folder):
        names = dict(folder.names)
        for name, inode, _ in folder.changes:
            names[name] = inode
        return {name: inode for name, inode in names.items() if inode}

    def change(self, path, inode, pair=None):
        self.folder(path).changes.append((os.path.basename(path), inode, pair))

    def apply(self, operation):
        kind, *rest = operation
        if kind in ("create", "mkdir"):
            number, path = rest
            there = self.seen(self.folder(path)).get(os.path.basename(path))
            if there is None or there is not self.by_number.get(number):
                self.by_number[number] = Inode(kind == "mkdir")
                self.change(path, self.by_number[number])
        elif kind == "write":
            self.by_number[rest[0]].pending.append((rest[1], rest[2]))
        elif kind == "truncate":
            self.by_number[rest[0]].pending.append(rest[1])
        elif kind == "sync":
            self.sync(self.by_number[rest[0]])
        elif kind == "unlink":
            self.change(rest[0], None)
        elif kind == "rename":
            source, target = rest
            self.pairs += 1
            inode = self.seen(self.folder(source))[os.path.basename(source)]
            pair = self.pairs if os.path.dirname(source) == os.path.dirname(target) else None
            self.change(source, None, pair)
            self.change(target, inode, pair)

    @staticmethod
    def sync(inode):
        for change in inode.pending:
            write(inode.data, change)
        inode.pending = []
        inode.names, inode.changes = Disk.seen(inode), []

    def cut(self, dice, loss):
        """A possible disk, as {path below the folder above root: bytes, or None for a folder}. `loss`: how likely each unsafe
        change is lost; 0 keeps all."""
        found = {}
        self.collect(self.above, "", dice, loss, found)
        return found

    def collect(self, folder, path, dice, loss, found):
        names, fate = dict(folder.names), {}
        for name, inode, pair in folder.changes:
            lost = dice.random() < loss
            if pair is not None:
                lost = fate.setdefault(pair, lost)
            if not lost:
                names[name] = inode
        for name, inode in names.items():
            if not inode:
                continue
            below = os.path.join(path, name)
            if inode.is_folder:
                found[below] = None
                self.collect(inode, below, dice, loss, found)
            else:
                found[below] = self.content(inode, dice, loss)

    @staticmethod
    def content(inode, dice, loss):
        data = bytearray(inode.data)
        for change in inode.pending:
            if dice.random() >= loss:
                write(data, change)
            elif isinstance(change, tuple) and dice.random() < 0.5:
                offset, content = change
                kept = dice.randrange(len(content) + 1) // SECTOR * SECTOR       # torn: zeros from there on
                write(data, (offset, content[:kept] + bytes(len(content) - kept)))
        return bytes(data)


def write(data, change):
    if isinstance(change, int):
        data[change:] = bytes(max(0, change - len(data)))
        return
    offset, content = change
    data.extend(bytes(max(0, offset + len(content) - len(data))))
    data[offset:offset + len(content)] = content


def materialise(found, above):
    for path, content in found.items():
        path = os.path.join(above, path)
        if content is None:
            os.makedirs(path, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(content)
