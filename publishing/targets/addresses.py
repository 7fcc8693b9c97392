"""Addresses of servers as targets have them."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from modules.errors import InputError, Problem


def refuse_visible_password(what: str) -> InputError:
    """That the address holds what other users of the machine must not see.

    Args:
      what: it holds, as in "password".
    """
    hint = "set a variable to the address, and name it as env:NAME, or a file as file:PATH"
    return InputError(Problem("", f"no {what} on the command line, where other users of the machine see it",
                              key="TARGET", hint=hint))  # fmt: skip


def split_address(address: str, is_hidden: bool, expected: str) -> SplitResult:
    """An address with a host.

    Args:
      address: of any scheme.
      is_hidden: whether it may hold a password.
      expected: an example, for the message.

    Raises:
      InputError: it is none, or shows a password.
    """
    try:
        url = urlsplit(address)
        is_right = bool(url.hostname) and url.port != 0 and not url.fragment
    except ValueError:
        is_right = False
    if not is_right:
        # It may hold a password.
        raise InputError(Problem("", f"expected an address like {expected}", key="TARGET")) from None
    if url.password is not None and not is_hidden:
        raise refuse_visible_password("password")
    return url


def authority(host: str, port: int) -> str:
    """Both as an address has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
