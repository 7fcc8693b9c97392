"""What ``validate`` says about images, and what ``init`` guesses of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.errors import InputError
from modules.settings.images import ImageSettings
from pipeline.image_references import named_host
from pipeline.init import detect, write_workflow
from pipeline.validate import ValidationReport, check
from pipeline.workflow_file import load_workflow
from tests.pipeline.test_validate import TAXONOMY

HOSTS = ("cdn.shop.example", "images.shop.example")


def feed(folder: Path, images: list[str]) -> Path:
    """Products of two categories, each with its image."""
    folder.mkdir(exist_ok=True)
    rows = [f"{i},Red boots number {i},{('Shoes > Boots', 'Shoes > Sandals')[i % 2]},{image}"
            for i, image in enumerate(images)]  # fmt: skip
    (folder / "shop.csv").write_text("\n".join(["sku,title,category,image_link", *rows]) + "\n", "utf-8")
    return folder / "shop.csv"


def report(folder: Path, images: list[str], settings: str) -> ValidationReport:
    feed(folder, images)
    (folder / "t.yaml").write_text(TAXONOMY, "utf-8")
    (folder / "w.yaml").write_text(
        "name: shop\nfeed:\n  files: [shop.csv]\n  fields: {id: sku, image: image_link, raw_category: category}\n"
        f"  images: {settings}\ntaxonomy: {{file: t.yaml}}\nfeatures:\n  title: {{kind: text}}\n", "utf-8",
    )  # fmt: skip
    return check(load_workflow(folder / "w.yaml"))


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_hosts_that_are_not_allowed_are_said_with_what_to_write(tmp_path: Path) -> None:
    images = [f"https://{HOSTS[i % 2]}/{i}.jpg" for i in range(40)]
    (problem,) = report(tmp_path, images, "{hosts: [other.example]}").problems
    assert (problem.key, problem.line) == ("feed.images.hosts", 5)
    assert all(f"{host} (20)" in problem.value for host in HOSTS)
    assert problem.hint == "allow them: feed.images.hosts: [cdn.shop.example, images.shop.example]"
    good = report(tmp_path, images, '{hosts: ["*.shop.example"]}')
    assert not good.problems and not good.notes
    some = report(tmp_path, images, "{hosts: [cdn.shop.example]}")
    assert not some.problems and "20 of 40 images are not allowed: images.shop.example (20)" in some.notes[0]
    for refused in ("https://u:p@cdn.shop.example/1.jpg", "ftp://cdn.shop.example/1.jpg",
                    "https://cdn.shop.example:8443/1.jpg"):  # fmt: skip
        assert len(report(tmp_path, [refused], "{hosts: [cdn.shop.example]}").problems) == 1


def test_files_that_are_not_there_are_said_with_the_folder(tmp_path: Path) -> None:
    images = [f"pictures/{i}.jpg" for i in range(30)]
    (problem,) = report(tmp_path, images, "{}").problems
    assert problem.key == "feed.images" and str(tmp_path) in problem.expected and problem.value == "pictures/0.jpg"
    touch(tmp_path, *images[:29])
    some = report(tmp_path, images, "{}")
    assert not some.problems and "1 of 30 images is not below" in some.notes[0]
    touch(tmp_path, images[29])
    assert not report(tmp_path, images, "{}").notes
    (outside,) = report(tmp_path, ["../secret.jpg", "/etc/passwd"], "{}").problems
    assert "paths start at" in outside.hint
    assert "name no image" in report(tmp_path, ["", ""], "{}").notes[0]


@pytest.mark.parametrize(("reference", "host"), [
    ("https://a.example/1.jpg", "a.example"), ("//A.example:8080/1.jpg", "a.example"), ("gs://bucket/1.jpg", "bucket"),
    ("images/1.jpg", None), ("file:///etc/passwd", None), ("data:image/png;base64,AAAA", None), ("C:\\1.jpg", None),
    ("https://", None), ("https://[::1/1.jpg", None), ("a:b:c", None), ("http://x\0y/1.jpg", None),
])  # fmt: skip
def test_the_host_of_a_reference(reference: str, host: str | None) -> None:
    assert named_host(reference) == host


def test_init_writes_the_hosts_and_asks_nobody(tmp_path: Path) -> None:
    path = feed(tmp_path / "feed", [f"https://{HOSTS[i % 3 > 0]}/{i}.jpg" for i in range(60)])
    guess = detect([path])
    assert guess.column("image") == "image_link" and guess.images is not None
    assert guess.images.hosts == (HOSTS[1], HOSTS[0]) and not guess.images.files
    plain, *_ = write_workflow(guess, tmp_path / "plain", "shop")
    text = plain.read_text("utf-8")
    assert "  # images: {hosts: [images.shop.example, cdn.shop.example]}\n" in text and "  # picture: " in text
    assert load_workflow(plain).workflow.images is None
    chosen, *_ = write_workflow(guess, tmp_path / "chosen", "shop", images=True)
    loaded = load_workflow(chosen)
    assert loaded.workflow.images == ImageSettings(hosts=guess.images.hosts)
    assert loaded.workflow.features["picture"].kind == "image" and not check(loaded).problems
    uncommented = text.replace("  # images", "  images").replace("  # picture", "  picture")
    plain.write_text(uncommented, "utf-8")
    assert load_workflow(plain).workflow == loaded.workflow


def test_init_looks_for_the_files(tmp_path: Path) -> None:
    names = [f"pictures/{i}.jpg" for i in range(20)]
    path = feed(tmp_path / "feed", names)
    missing = detect([path])
    assert missing.images is not None and not missing.images.usable
    assert any("20 are not below" in note for note in missing.notes)
    assert "images:" not in write_workflow(missing, tmp_path / "none", "shop")[0].read_text("utf-8")
    with pytest.raises(InputError, match="--images"):
        write_workflow(missing, tmp_path / "refused", "shop", images=True)
    assert not (tmp_path / "refused").exists()
    touch(tmp_path / "feed", *names)
    found = detect([path])
    assert found.images is not None and (found.images.files, found.images.missing) == (20, 0)
    loaded = load_workflow(write_workflow(found, tmp_path / "out", "shop", images=True)[0])
    assert loaded.workflow.images == ImageSettings() and not check(loaded).problems
