"""Images on their way into the examples: fetched, checked, made small; from files and over HTTP, cache cold and warm.

    python -m benchmarks.images      # some 4 minutes on 2 cores
Writes ``results/images.md``.

Pictures are generated: *photos*, 900 x 1,200 JPEGs of some 150 kB, which become 256 pixels high, and *thumbnails*,
192 x 256, which stay as they are. The peer is a plain loop: read or GET (urllib3, one connection kept), Pillow
(``draft``, ``thumbnail``), JPEG again; one image after the other and no checks. The server is a process of its own on
loopback that waits so many milliseconds before each answer, as a network does. Two cores, for server and client.

"Cold" fills an empty cache, "warm" is a second process' run over the same products, "no cache" is without one.
"Pixels" is the last step: JPEG bytes of the examples to uint8 arrays, as TensorFlow's input pipeline does it in
training, beside a loop of Pillow and NumPy.
"""

from __future__ import annotations

import io
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from modules.images.loader import ImageLoader
from modules.settings.images import ImageSettings

RESULTS = Path(__file__).parent / "results" / "images.md"
COUNTS = {"photos": 600, "thumbnails": 3000}
SHAPES = {"photos": (900, 1200), "thumbnails": (192, 256)}
DELAYS = (0, 30)
SIZE = 256


def pictures(folder: Path) -> None:
    """Writes both kinds: smooth shapes and a little noise, as large as real photographs at this quality."""
    rng = np.random.default_rng(0)
    for kind, count in COUNTS.items():
        (folder / kind).mkdir()
        width, height = SHAPES[kind]
        noise = rng.normal(0, 6, (height, width, 3))
        for i in range(count):
            small = rng.integers(0, 256, (12, 9, 3), dtype=np.uint8)
            smooth = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC), np.float32)
            pixels = np.clip(smooth + np.roll(noise, i, axis=1), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / kind / f"{i}.jpg", quality=85)


class Handler(BaseHTTPRequestHandler):
    """``/30/photos/7.jpg``: the file after 30 ms."""

    protocol_version = "HTTP/1.1"
    wbufsize, disable_nagle_algorithm = 1 << 20, True  # head and body in one packet
    folder = Path()

    def do_GET(self) -> None:
        delay, _, name = self.path[1:].partition("/")
        time.sleep(int(delay) / 1000)
        data = (self.folder / name).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def server(folder: Path) -> Iterator[int]:
    """A server process; its port."""
    Handler.folder = folder
    # It listens before it is forked: nobody has to wait for it.
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        process = multiprocessing.get_context("fork").Process(target=listening.serve_forever, daemon=True)
        process.start()
        try:
            yield listening.server_address[1]
        finally:
            process.terminate()


def ours(references: list[str], folder: Path, settings: ImageSettings) -> None:
    """All images by the project's loader."""
    loader = ImageLoader(settings, str(folder))
    good = sum(picture is not None and bool(picture.data) for _, picture in loader.pictures(references, lambda r: r))
    loader.close()
    assert good == len(references), good


def small(data: bytes) -> bytes:
    """What the plain loop does to an image."""
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (SIZE, SIZE))
        image.thumbnail((SIZE, SIZE))
        out = io.BytesIO()
        image.save(out, "JPEG", quality=90)
    return out.getvalue()


def plain_files(references: list[str], folder: Path) -> None:
    """One file after the other."""
    for name in references:
        small((folder / name).read_bytes())


def plain_web(references: list[str]) -> None:
    """One GET after the other."""
    import urllib3

    pool = urllib3.PoolManager()
    for address in references:
        small(pool.request("GET", address).data)


def rate(count: int, action: Callable[[], None], repeats: int = 2) -> tuple[float, float]:
    """Images per second of the best of some repetitions, and processor milliseconds of an image."""
    found = []
    for _ in range(repeats):
        started, worked = time.perf_counter(), time.process_time()
        action()
        found.append((time.perf_counter() - started, time.process_time() - worked))
    seconds, cpu = min(found)
    return count / seconds, 1000 * cpu / count


def rows(folder: Path, scratch: Path, kind: str, port: int) -> Iterator[str]:
    """Lines of the table of one kind of picture."""
    count = COUNTS[kind]
    names = [f"{kind}/{i}.jpg" for i in range(count)]
    sources = {"files": names}
    sources |= {f"HTTP, {delay} ms": [f"http://127.0.0.1:{port}/{delay}/{name}" for name in names] for delay in DELAYS}
    base = ImageSettings(size=SIZE, hosts=("127.0.0.1",), ports=(port,), allow_private=True)
    for place, (source, references) in enumerate(sources.items()):
        few = references[: count // 6] if source.endswith(f"{DELAYS[-1]} ms") else references
        plain = plain_files if source == "files" else plain_web
        arguments = (few, folder) if source == "files" else (few,)
        peer, peer_cpu = rate(len(few), lambda plain=plain, arguments=arguments: plain(*arguments))  # type: ignore[misc]
        yield f"| {kind} | {source} | plain loop | {peer:,.0f} | 1.0 | {peer_cpu:.2f} |"
        cached = base.model_copy(update={"cache": str(scratch / f"{kind}-{place}")})
        for name, settings in {"no cache": base, "cold": cached, "warm": cached}.items():
            repeats = 1 if name == "cold" else 2
            mine, cpu = rate(count, lambda r=references, s=settings: ours(r, folder, s), repeats)  # type: ignore[misc]
            yield f"| {kind} | {source} | Shelfmark, {name} | {mine:,.0f} | {mine / peer:.1f} | {cpu:.2f} |"


def pixels(folder: Path) -> Iterator[str]:
    """Lines of the table of the last step."""
    import tensorflow as tf

    from modules.vision.decoding import decode_pictures

    data = [small((folder / "photos" / f"{i % 600}.jpg").read_bytes()) for i in range(3000)]

    def loop() -> None:
        for one in data:
            np.asarray(Image.open(io.BytesIO(one)).resize((96, 128)))

    def pipeline() -> None:
        made = tf.data.Dataset.from_tensor_slices(data).batch(64)
        made = made.map(lambda batch: decode_pictures(batch, 128, 96), num_parallel_calls=tf.data.AUTOTUNE)
        for _ in made.prefetch(2):
            pass

    peer, peer_cpu = rate(len(data), loop)
    mine, cpu = rate(len(data), pipeline)
    yield f"| Pillow and NumPy, a loop | {peer:,.0f} | 1.0 | {peer_cpu:.2f} |"
    yield f"| `decode_pictures` in tf.data | {mine:,.0f} | {mine / peer:.1f} | {cpu:.2f} |"


def main() -> None:
    """Runs everything and writes the tables."""
    lines = ["# Images", "", *(__doc__ or "").split("\n\n", 2)[2].strip().splitlines(), ""]
    lines += [
        "| pictures | from | | images/s | times the loop | CPU ms each |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures(folder)
        with server(folder) as port:
            for kind in COUNTS:
                for line in rows(folder, folder, kind, port):
                    lines.append(line)
                    print(line, flush=True)
        lines += ["", "Pixels, 128 x 96, from 256 x 192:", "", "| | images/s | times the loop | CPU ms each |",
                  "| --- | --- | --- | --- |"]  # fmt: skip
        for line in pixels(folder):
            lines.append(line)
            print(line, flush=True)
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
