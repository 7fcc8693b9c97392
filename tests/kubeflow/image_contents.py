"""What the root file system of an image holds; paths are relative to it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

COMPILER = re.compile(
    r"(?:[\w.]+-)*(?:gcc|g\+\+|cc|c\+\+|cpp|clang|clang\+\+|tcc|cc1|cc1plus|collect2|ld(?:\.\w+)?|as|rustc|gfortran|nvcc|"
    r"make|cmake|ninja|cargo)(?:-[\d.]+)?"
)
SECRET_NAME = re.compile(
    r"\.git|\.gitconfig|\.git-credentials|\.netrc|_netrc|\.pypirc|\.npmrc|\.env(?:\..*)?|\.ssh|id_(?:rsa|dsa|ecdsa|ed25519)|"
    r"\.aws|\.docker|\.dockerconfigjson|\.kube|kubeconfig|\.bash_history|\.python_history|.*\.(?:p12|pfx|jks|keystore|kdbx)"
)
SECRET = {
    "private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{64}"),
    "key of AWS": re.compile(rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "key of Google": re.compile(rb"\bAIza[0-9A-Za-z_-]{35}\b"),
    "token of GitHub": re.compile(rb"\b(?:gh[pousr]_[0-9A-Za-z]{36}|github_pat_\w{60,})"),
    "token of PyPI": re.compile(rb"\bpypi-AgEIcHlwaS5vcmc\w{20}"),
}
ADDRESS = {
    "credentials in an address": re.compile(rb"\b[a-z][a-z0-9+.]{1,9}://[^\s/:@\"'<>{}$]+:[^\s/@\"'<>{}$]+@[\w.-]+"),
}
PUBLISHED = re.compile(r"/site-packages/.*\.py$")
"""Source of packages, installed by checksum: its addresses are documentation's and tests'."""
EXAMPLE = re.compile(rb"://[^/]*:(?:pass(?:word|wd)?|pw|p|secret|token)@", re.IGNORECASE)
DISTINCT = 6
"""A key or address with fewer characters than that is a placeholder."""
LARGEST_TEXT = 4_000_000


def _entries(root: Path, below: str = ".") -> Iterator[tuple[str, os.stat_result]]:
    for folder, folders, files in os.walk(root / below):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            yield os.path.relpath(path, root), os.lstat(path)


def compilers(root: Path) -> set[str]:
    """Programs that make or link machine code."""
    return {
        path
        for path, status in _entries(root)
        if COMPILER.fullmatch(os.path.basename(path)) and stat.S_ISREG(status.st_mode) and status.st_mode & stat.S_IXUSR
    }


def setuid(root: Path) -> set[str]:
    """Files that run with their owner's or group's rights."""
    bits = stat.S_ISUID | stat.S_ISGID
    return {path for path, status in _entries(root) if stat.S_ISREG(status.st_mode) and status.st_mode & bits}


def writable(root: Path, user: int) -> set[str]:
    """What a process of ``user``, in no group of root's, can write."""

    def allowed(status: os.stat_result) -> bool:
        if stat.S_ISLNK(status.st_mode):
            return False
        for own, bit in ((status.st_uid == user, stat.S_IWUSR), (status.st_gid == user, stat.S_IWGRP)):
            if own and status.st_mode & bit:
                return True
        return bool(status.st_mode & stat.S_IWOTH)

    return {path for path, status in _entries(root) if allowed(status)}


def secrets(root: Path, below: str = ".") -> dict[str, list[str]]:
    """Files whose name or content is that of a secret: path to what was found."""
    found: dict[str, list[str]] = {}
    for path, status in _entries(root, below):
        if SECRET_NAME.fullmatch(os.path.basename(path)):
            found.setdefault(path, []).append("name")
        if stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST_TEXT:
            content = (root / path).read_bytes()
            if b"\0" not in content[:1024]:
                patterns = SECRET | ({} if PUBLISHED.search(path) else ADDRESS)
                for what, pattern in patterns.items():
                    for match in pattern.findall(content):
                        if len(set(match.rpartition(b"_")[2])) >= DISTINCT and not EXAMPLE.search(match):
                            found.setdefault(path, []).append(f"{what}: {match[:80].decode(errors='replace')}")
    return found
