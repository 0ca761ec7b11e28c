"""Masking of passwords and tokens in messages, logs, runs and reports."""

from __future__ import annotations

import base64
import re

HIDDEN = "***"
_SERVER = re.compile(r"(?P<start>\bhttps?://)(?:(?P<user>[^\s/@:?#]*):)?(?P<secret>[^\s/?#]+)@", re.IGNORECASE)
"""Secret in a web address: a password ends at the first slash, and a single word before the @ is a token."""
_DATABASE = re.compile(
    r"(?P<start>\b(?!https?:)[a-z][a-z0-9+.-]*://)(?P<user>[^\s/@:?#]*):(?P<secret>\S*)@", re.IGNORECASE
)
"""Secret in a database address: SQLAlchemy reads everything up to the last @ as the password."""
_BEARER = re.compile(r"(?P<start>\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_BASIC = re.compile(r"(?P<start>\bbasic\s+)(?P<secret>[A-Za-z0-9+/]+={0,2})", re.IGNORECASE)
_NAMED = re.compile(
    r"(?P<key>(?<![A-Za-z0-9_-])[A-Za-z0-9_-]*(?:password|passwd|passphrase|"
    r"(?<![a-z])(?:pwd|token|secret|api_?key|access_?key|signature|sig)))"
    r"(?P<is>['\"]?\s*[=:]\s*)(?P<secret>'[^']*'|\"[^\"]*\"|[^\s&'\",;)]+)",
    re.IGNORECASE,
)
"""Secret of a key whose name ends with a word for one. Names begin where words do, so that long words take no time."""


def masked(text: str) -> str:
    """A text with ``***`` for passwords in URLs and for the values of keys such as ``password=`` and ``token:``."""
    text = _SERVER.sub(
        lambda found: found["start"] + (f"{found['user']}:" if found["user"] else "") + f"{HIDDEN}@", text
    )
    text = _BEARER.sub(rf"\g<start>{HIDDEN}", text)
    text = _BASIC.sub(lambda found: f"{found['start']}{HIDDEN}" if _is_login(found["secret"]) else found[0], text)
    text = _DATABASE.sub(rf"\g<start>\g<user>:{HIDDEN}@", text)
    return _NAMED.sub(rf"\g<key>\g<is>{HIDDEN}", text)


def _is_login(text: str) -> bool:
    """Whether a text is base64 of ``user:password``, and not the next word of a name such as *basic training*."""
    try:  # base64 has upper case within it; a word in lower case may decode to bytes with a colon by chance
        return b":" in base64.b64decode(text, validate=True) and not text[1:].islower()
    except ValueError:
        return False


def one_line(error: BaseException, length: int = 300) -> str:
    """Message of an error, masked, on one line of at most `length` characters."""
    return masked(" ".join(str(error).split()))[:length]
