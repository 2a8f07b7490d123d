"""A folder tree that looks like Kaggle's, and a bare process in it that runs a script as Kaggle does.

Two ways: under a root of its own (``HISTOBLEND_KAGGLE_ROOT``), which runs everywhere; or at the true paths
``/kaggle/...``, in namespaces of its own without a network, its inputs and source folder mounted read-only and the
checkout out of sight, where `unshare` is allowed.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]

# A root file system of its own: what the machine has, except that /kaggle is the tree and the checkout's sources are
# empty. Nothing of it is seen outside, and it is gone with the process.
NAMESPACE = """
set -e
mount -t tmpfs none "$NEW"
for entry in /*; do
  if [ -L "$entry" ]; then cp -a "$entry" "$NEW$entry"
  elif [ -d "$entry" ] && [ "$entry" != /kaggle ]; then mkdir "$NEW$entry"; mount --rbind "$entry" "$NEW$entry"; fi
done
mkdir "$NEW/kaggle"
mount --rbind "$TREE" "$NEW/kaggle"
readonly_bind() { mount --bind "$1" "$2"; mount -o remount,bind,ro "$2"; }
readonly_bind "$TREE/src" "$NEW/kaggle/src"
readonly_bind "$TREE/input" "$NEW/kaggle/input"
while IFS='|' read -r source target; do
  [ -z "$source" ] || readonly_bind "$source" "$NEW/kaggle/input/$target"
done < "$MOUNTS"
mount -t tmpfs none "$NEW$HIDDEN"
cd /
exec chroot "$NEW" /usr/bin/env -i -C / "$@"
"""


@functools.cache
def namespaces_allowed() -> bool:
    """Whether this user may make namespaces of its own and mount in them."""
    if shutil.which("unshare") is None:
        return False
    words = ["unshare", "-rmn", "sh", "-c", "mount -t tmpfs none /mnt"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@dataclass
class KaggleTree:
    """input/, working/ and src/ as a session finds them; temp/ is not there, it has to be created."""

    root: Path
    mounts: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("input", "working", "src"):
            (self.root / name).mkdir(parents=True)

    @property
    def working(self) -> Path:
        """What a session hands back."""
        return self.root / "working"

    def mount(self, name: str, source: Path) -> None:
        """Put `source` under input/`name`, such as competitions/SLUG, or SLUG as before 2026."""
        self.mounts[name] = source

    def run(
        self, script: str, true_paths: bool = False, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the script's text as a session: a bare environment, a foreign working directory, few KAGGLE_* words."""
        self._write_script(script)
        home = self.root / "home"
        home.mkdir(exist_ok=True)
        bare = {
            "HOME": str(home),
            "PATH": str(self.root / "no-tools"),
            "KAGGLE_KERNEL_RUN_TYPE": "Batch",
            "KAGGLE_DATA_PROXY_TOKEN": "not-a-token",
            "OMP_NUM_THREADS": "1",
            "TF_NUM_INTRAOP_THREADS": "1",
            **environment,
        }
        run = self._in_namespaces if true_paths else self._under_a_root
        return run(bare)

    def _write_script(self, text: str) -> None:
        (self.root / "src").chmod(0o755)
        path = self.root / "src" / "script.py"
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o444)
        (self.root / "src").chmod(0o555)

    def _under_a_root(self, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        for name, source in self.mounts.items():
            target = self.root / "input" / name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copytree(source, target)
        before = listing(self.root / "input")
        readonly(self.root / "input")
        foreign = self.root / "elsewhere"
        foreign.mkdir(exist_ok=True)
        environment |= {"HISTOBLEND_KAGGLE_ROOT": str(self.root)}
        command = [sys.executable, str(self.root / "src" / "script.py")]
        done = _captured(command, env=environment, cwd=foreign)
        assert listing(self.root / "input") == before, "the inputs were written to"
        assert not any(foreign.iterdir()), "the working directory was written to"
        return done

    def _in_namespaces(self, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        for name in self.mounts:
            (self.root / "input" / name).mkdir(parents=True, exist_ok=True)
        new = self.root / "new-root"
        new.mkdir(exist_ok=True)
        lines = "".join(f"{source.resolve()}|{name}\n" for name, source in self.mounts.items())
        (self.root / "mounts").write_text(lines)
        outside = os.environ | {
            "NEW": str(new),
            "TREE": str(self.root),
            "MOUNTS": str(self.root / "mounts"),
            "HIDDEN": str(CHECKOUT / "src"),
        }
        words = [f"{name}={value}" for name, value in environment.items()]
        inside = [*words, sys.executable, "/kaggle/src/script.py"]
        return _captured(["unshare", "-rmn", "sh", "-c", NAMESPACE, "sh", *inside], env=outside)

    def next_session(self, root: Path, form: str = "notebooks/owner/histoblend-run") -> KaggleTree:
        """A fresh tree with the same inputs and this one's working folder among them, read from where it lies."""
        tree = KaggleTree(root, dict(self.mounts))
        tree.mount(form, self.working)
        return tree


def _captured(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    """Run it; stdout and stderr are one log."""
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options
    )


def readonly(folder: Path) -> None:
    """Take the right to write from everything under `folder`, itself included."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


def listing(folder: Path) -> str:
    """A hash of names, sizes and times of everything under `folder`."""
    entries = sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    return hashlib.sha256(repr(entries).encode()).hexdigest()


def toy_tree(root: Path, competition: Path, new_form: bool = True) -> KaggleTree:
    """A tree with the toy competition, its slide map in a dataset of its own, and what has nothing to do with us."""
    patches, slide_map, foreign = (
        root.with_name(f"{root.name}-{name}") for name in ("toy", "map", "foreign")
    )
    if not patches.exists():
        shutil.copytree(competition, patches)
        slide_map.mkdir()
        (patches / "patch_id_wsi_full.csv").rename(slide_map / "patch_id_wsi_full.csv")
        (foreign / "experiments").mkdir(parents=True)
        (foreign / "run.json").write_text('{"data": "of another program"}')
        (foreign / "submission.csv").write_text("id,label\n")
        (foreign / "session.json").write_text("{}")
    tree = KaggleTree(root)
    old = {"competitions": "", "datasets": "", "notebooks": ""}
    for kind, owner, slug, source in (
        ("competitions", "", "histopathologic-cancer-detection", patches),
        ("datasets", "someone/", "histopathologicwsifull", slide_map),
        ("notebooks", "someone/", "another-notebook", foreign),
    ):
        tree.mount(f"{kind}/{owner}{slug}" if new_form else f"{old[kind]}{slug}", source)
    return tree


@pytest.fixture
def kaggle_tree(tmp_path: Path, toy: Path) -> KaggleTree:
    """The toy competition as Kaggle mounts it in 2026."""
    return toy_tree(tmp_path / "kaggle", toy)
