"""Where a server listens, and how it starts; the same for every server of the package."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from modules.errors import InputError, Problem
from modules.http_server.addresses import is_loopback, parse_networks
from modules.http_server.limits import ConnectionLimits
from modules.http_server.listening import listen

if TYPE_CHECKING:
    from starlette.types import ASGIApp


@dataclass(frozen=True)
class ServerOptions:
    """Where a server listens, and how clients reach it.

    Attributes:
      host: The address to listen on.
      port: The TCP port; 0 takes any free one.
      certificate: The TLS certificate, a PEM file; None serves plain HTTP.
      key: The certificate's private key, a PEM file.
      trusted_proxies: Addresses and networks of the proxies before the server, whose headers are believed.
      limits: The limits of connections; the proxies are added to them when the server starts.
    """

    host: str = "127.0.0.1"
    port: int = 0
    certificate: Path | None = None
    key: Path | None = None
    trusted_proxies: tuple[str, ...] = ()
    limits: ConnectionLimits = field(default_factory=ConnectionLimits)

    @property
    def loopback(self) -> bool:
        """Whether nobody on another machine can reach the address."""
        return is_loopback(self.host)

    def url(self, port: int) -> str:
        """The address of the server's root, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'http' if self.certificate is None else 'https'}://{host}:{port}"

    def check(self) -> None:
        """Checks the files and the proxies.

        Raises:
          InputError: TLS lacks a file, or a proxy is neither an address nor a network.
        """
        if (self.certificate is None) != (self.key is None):
            raise InputError(Problem("", "--certificate and --key go together"))
        for file in (self.certificate, self.key):
            if file is not None and not file.is_file():
                raise InputError(Problem(str(file), "there is no such file"))
        parse_networks(self.trusted_proxies)


def start(
    options: ServerOptions,
    create: Callable[[int], ASGIApp],
    announce: Callable[[str], Iterable[str]],
    say: Callable[[str], None],
) -> None:
    """Listens, announces the address, and serves until it is stopped.

    Args:
      options: Where to listen; checked before (:meth:`ServerOptions.check`).
      create: Makes the application; its argument is the port that was taken.
      announce: The lines that tell people where the server is; its argument is the server's URL.
      say: Shows a line.

    Raises:
      InputError: The port is taken, or the system allows too few open files.
    """
    from modules.http_server.server import serve

    # From here on connections wait in the queue, so that nobody who reads the lines below is refused.
    with listen(options.host, options.port) as listener:
        port = listener.getsockname()[1]
        for line in announce(options.url(port)):
            say(line)
        limits = replace(options.limits, trusted=parse_networks(options.trusted_proxies))
        serve(create(port), listener, limits, options.certificate, options.key)
