"""Builds the repository's Dockerfile with buildah, on bases that debootstrap makes: no registry, no engine.

A base has the name that the Dockerfile gives it, and what the registry's has: Debian of that release with its Python
and pip; a C++ compiler where the name does not say ``slim``. How this machine reaches the package index (certificates,
the index's address) is mounted while the image is built, and is in no layer.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.workflow_file import REPOSITORY

DISK = 45e9
"""Bytes that both variants with their layers and one copy need at most."""

CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
MOUNTED = "etc/pip.conf", "etc/uv/uv.toml"
"""Empty files of the bases, so that mounting over them leaves nothing behind."""


class Unavailable(Exception):
    """This machine cannot build images; the message says why."""


class Builder:
    """buildah with a storage of its own in ``folder``, and the bases that the Dockerfile starts from.

    Raises:
      Unavailable: a program, a right, disk space or Debian's packages are missing.
    """

    def __init__(self, folder: Path):
        for program in ("buildah", "debootstrap"):
            if not shutil.which(program):
                raise Unavailable(f"{program} is not installed (make test-full installs it)")
        if os.geteuid():
            raise Unavailable("debootstrap makes device files and needs root")
        free = shutil.disk_usage(folder).free
        if free < DISK:
            raise Unavailable(f"{folder} has {free / 1e9:.0f} GB free, and two images need {DISK / 1e9:.0f}")
        self.folder = folder
        self._buildah = ["buildah", f"--root={folder}/storage", f"--runroot={folder}/run", "--storage-driver=overlay"]
        self.run_command = [*self._buildah, "run", "--isolation=chroot"]
        text = (REPOSITORY / "Dockerfile").read_text()
        arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, re.MULTILINE))
        names = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
        self.names = [re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], name) for name in names]
        self._make_bases(arguments["PYTHON"])

    def __call__(self, *arguments: str, seconds: int = 1200) -> str:
        """Runs buildah; its output."""
        done = subprocess.run([*self._buildah, *arguments], capture_output=True, text=True, timeout=seconds)
        assert done.returncode == 0, f"buildah {' '.join(arguments[:2])}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done.stdout.strip()

    def build(self, variant: str) -> str:
        """The image of a variant, built from the Dockerfile as it is; its output is in ``variant.log``."""
        image = f"localhost/shelfmark:{variant}"
        settings = self._settings()
        mounts = [f"--volume={path}:/{inside}:ro" for inside, path in settings.items()]
        output = self(
            *("build", "--isolation=chroot", "--network=host", "--pull-never", "--layers", *mounts),
            *(f"--build-arg=VARIANT={variant}", f"--tag={image}", str(REPOSITORY)),
            seconds=1800,
        )
        (self.folder / f"{variant}.log").write_text(output)
        return image

    @contextmanager
    def container(self, image: str) -> Iterator[tuple[str, Path]]:
        """A container of the image: its name, and its root as a folder of this machine."""
        name = self("from", "--pull-never", image)
        try:
            yield name, Path(self("mount", name))
        finally:
            self("rm", name)

    def run(self, container: str, *command: str) -> str:
        """The output of a command in a container, as the image's user.

        Raises:
          AssertionError: it failed; the message has its output.
        """
        return self("run", "--isolation=chroot", container, "--", *command, seconds=900)

    def config(self, image: str) -> dict[str, Any]:
        """``User``, ``Env``, ``Entrypoint``, ..."""
        found: dict[str, Any] = json.loads(self("inspect", "--type=image", image))["OCIv1"]["config"]
        return found

    def layers(self, image: str) -> list[int]:
        """Bytes of each layer as a tar file, the base's first."""
        manifest = json.loads(json.loads(self("inspect", "--type=image", image))["Manifest"])
        return [layer["size"] for layer in manifest["layers"]]

    def close(self) -> None:
        """Removes containers, images and mounts."""
        self("rm", "--all")
        self("rmi", "--all", "--force")
        shutil.rmtree(self.folder)

    def _make_bases(self, python: str) -> None:
        """Of all names in the Dockerfile: one tree by debootstrap, and the compiler on top where it belongs."""
        releases = {name.rpartition("-")[2] for name in self.names}
        assert len(releases) == 1, self.names
        tree = self.folder / "base"
        packages = "--include=python3,python3-venv,python3-pip,ca-certificates"
        called = ["debootstrap", "--variant=minbase", packages, *releases, str(tree)]
        done = subprocess.run(called, capture_output=True, text=True, timeout=1200)
        if done.returncode:
            raise Unavailable(f"debootstrap: {(done.stdout + done.stderr).strip().splitlines()[-1]}")
        (external,) = tree.glob("usr/lib/python3.*/EXTERNALLY-MANAGED")
        assert external.parent.name == f"python{python}", f"{external.parent.name} is Debian's, not {python}"
        external.unlink()
        (tree / "usr/bin/python").symlink_to("python3")
        for package in tree.glob("var/cache/apt/archives/*.deb"):
            package.unlink()
        for name in MOUNTED:
            (tree / name).parent.mkdir(exist_ok=True)
            (tree / name).touch()
        try:
            for name in sorted(self.names, key=lambda name: "-slim" not in name):
                container = self("from", "scratch")
                self("add", container, str(tree), "/")
                if "-slim" not in name:
                    install = "apt-get update -qq && apt-get install -qq --no-install-recommends g++ python3-dev"
                    self("run", "--isolation=chroot", "--network=host", container, "--", "sh", "-c", install)
                else:
                    self("run", "--isolation=chroot", container, "--", "true")
                self("commit", "--quiet", "--rm", container, f"docker.io/library/{name}", seconds=600)
        except AssertionError as error:
            raise Unavailable(f"buildah cannot make a base here: {str(error).strip().splitlines()[-1]}") from error
        shutil.rmtree(tree)

    def _settings(self) -> dict[str, Path]:
        """This machine's certificates and index, as files of pip and uv: path in the container to path here."""
        pip = configparser.ConfigParser(interpolation=None)
        pip.read([os.environ.get("PIP_CONFIG_FILE", "/etc/pip.conf"), Path.home() / ".config/pip/pip.conf"])
        index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL")
        index = index or pip.get("global", "index-url", fallback=None)
        lines = {
            "etc/pip.conf": ["[global]", f"cert = /{CERTIFICATES}", *([f"index-url = {index}"] if index else [])],
            "etc/uv/uv.toml": [
                "system-certs = true",
                *(["[[index]]", f"url = {json.dumps(index)}", "default = true"] if index else []),
            ],
        }
        found = {}
        for inside, text in lines.items():
            found[inside] = self.folder / Path(inside).name
            found[inside].write_text("\n".join(text) + "\n")
        certificates = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
        if certificates:
            found[CERTIFICATES] = Path(certificates).resolve()
        return found
