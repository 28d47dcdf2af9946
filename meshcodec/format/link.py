"""Links that carry a whole file: what the page of `web/demo` opens."""

from __future__ import annotations

import base64
from urllib.parse import urlsplit

from meshcodec.errors import UsageError

SCHEMES = ("http", "https", "file")


def link_of(data: bytes, base: str) -> str:
    """The link to a page that carries a file behind the ``#``, where no server sees it.

    Parameters
    ----------
    data : bytes of a whole ``.vat`` file
    base : address of the page, absolute and without a fragment

    Raises
    ------
    UsageError
        Not such an address.
    """
    try:
        parts = urlsplit(base)
    except ValueError as error:
        raise UsageError(f"the address {base!r} is none ({error})", "give that of the page") from error
    if parts.scheme not in SCHEMES or not (parts.netloc or parts.path) or any(c.isspace() for c in base):
        raise UsageError(f"the address {base!r} is none of a page", "give one that begins with https://")
    if "#" in base:
        raise UsageError(f"the address {base!r} has a # already", "leave away what comes from there on")
    return f"{base}#data={base64.urlsafe_b64encode(data).decode().rstrip('=')}"
