"""Recognizes URIs, and removes credentials from URIs that are shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:", re.ASCII)
_BARE_SCHEMES = ("data:", "file:")
_SECRET_WORDS = ("signature", "token", "secret", "password", "passwd", "credential", "apikey")
_SECRET_NAMES = frozenset({"sig", "key", "pwd", "auth", "awsaccesskeyid", "googleaccessid"})
_SECRET_PREFIXES = ("x-amz-", "x-goog-", "x-oss-")
_MORE_ENDINGS = (
    *("key", "accesskeyid", "jwt", "passphrase", "bearer", "authorization"),
    *("sessionid", "sessid", "cookie"),
)
# With the names of signatures of CDNs.
_MORE_NAMES = frozenset(
    {"policy", "keypairid", "sas", "pass", "pw", "pin", "otp", "hmac", "sid", "session", "ticket"}
    | {"sign", "code", "gda", "hdnts", "hdnea", "hdntl", "oh", "hm", "iks", "qak"}
)
# They name a signature or something short, such as a size.
_SIGNATURES_IF_LONG = frozenset({"s", "h", "hash", "md5", "st", "verify"})
_LONG = re.compile(r"[\w%+/=~.\-]{16,}", re.ASCII)
_PARAMETER = re.compile(r"[?&;#](?P<name>[^=&;#?/]+)=(?P<value>[^&;#?]*)")
_ODD_USER = re.compile(
    r"(?P<start>https?:[/\\]*|file://(?!/)|[A-Za-z][A-Za-z0-9+.\-]+:[/\\]{1,3}|//|\\\\)"
    r"[^/\\?#@:\[]*:(?!\d*([/\\?#]|$)).*@",
    re.DOTALL | re.IGNORECASE,
)
_LOCAL_FILE = re.compile(r"file:(?!//[^/])", re.IGNORECASE)
_ESCAPED_USER = re.compile(r"(?P<start>[A-Za-z][A-Za-z0-9+.\-]+://)[^/\\?#]*%40", re.IGNORECASE)
# A URL within another, as proxies for images and web archives have it.
_INNER_USER = re.compile(
    r"(?P<start>https?://)[^/\\?#@\s]+@"
    r"|(?<=[^/:A-Za-z0-9+.\-])(?P<relative>//)[^/\\?#@\s]*:[^/\\?#@\s]*@",
    re.IGNORECASE,
)
_ESCAPED_QUERY = re.compile(r"%(25)?3F(?P<value>[^?&#;/\s]*)", re.IGNORECASE)
# A reference below a base URL, and no text.
_RELATIVE = re.compile(r"(?!data:)[^/\s]\S*", re.IGNORECASE)
# In URIs of these schemes, the part before the @ names a container.
_CONTAINER_SCHEMES = frozenset({"abfs", "abfss", "az", "wasb", "wasbs"})

# References that were recorded with the other scheme keep it, and with it their fingerprints.
_ALIASES = {"s3a": "s3", "gcs": "gs"}

_BUCKET_SCHEMES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})
# Halves of other characters than the bytes that Python keeps so in names of local files.
_HALF_CHARACTER = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_WRAPPERS = re.compile(r"dir|libarchive|tar|zip|blockcache|cached|filecache|simplecache")
# Archives, caches and wrappers of other stores, and places that are read only.
_NOT_WRITTEN = re.compile(
    r"zip|tar|libarchive|reference|simplecache|filecache|blockcache|cached|dir|data|https?"
    r"|git|github|gitlab|jupyter|jlab|generic|asyncwrapper"
)


def is_uri(reference: str) -> bool:
    """Return True if `reference` names its scheme (`s3://…`, `data:…`)."""
    if "://" in reference and _SCHEME.match(reference):
        return True
    return reference[:5].lower() in _BARE_SCHEMES


def url_problem(url: str) -> str | None:
    """Return the reason why a URL names no place in a store; None if it does."""
    if not url.strip():
        return "is empty; give a local path or a URL such as s3://BUCKET/FOLDER"
    if any(ord(character) < 32 or ord(character) == 127 for character in url):
        return "contains a control character; give a path or URL without one"
    if _HALF_CHARACTER.search(url):
        return "contains half of a character; give a path or URL of whole ones"
    scheme, separator, rest = url.partition("://")
    return _missing_part(scheme, rest, chained="::" in url) if separator else None


def _missing_part(scheme: str, rest: str, *, chained: bool) -> str | None:
    if _WRAPPERS.fullmatch(scheme.lower()) and not chained:
        return f"names no file to look into; give {scheme}://PATH-INSIDE::URL"
    if scheme.lower() in ("file", "local") and not rest.startswith("/"):
        return "names another machine; give file:///PATH, or the path alone"
    if scheme.lower() in _BUCKET_SCHEMES and not rest.partition("/")[0].strip():
        return f"names no bucket or container; give {scheme}://BUCKET/FOLDER"
    return None


def output_problem(url: str) -> str | None:
    """Return the reason why nothing can be written below a URL; None if that is not known."""
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if "::" in url and _SCHEME.match(url):
        scheme = url.partition("::")[0].lower()
    if _NOT_WRITTEN.fullmatch(scheme) or ("::" in url and "://" in url):
        return (
            f"{scheme}: cannot be an output; give a local folder or a folder in a store, such as "
            "s3://BUCKET/FOLDER, gs://… or az://…"
        )
    return url_problem(url)


def redact_uri(uri: str) -> str:
    """Return `uri` without `user:password@`, and without signatures and credentials.

    These are found in the query, in the fragment and after a `;`, also under escaped names, and in
    URLs within `uri`. Everything else stays unchanged. Any string is accepted.
    """
    found = unsigned_uri(uri)
    if "@" in found or "%40" in found:
        whole = found[:4].lower() == "http"  # such a URL does not begin a chain
        links = [found] if whole else found.split("::")
        found = _INNER_USER.sub(_scheme_of, "::".join(map(_without_user, links)))
    if "%" in found:
        found = _ESCAPED_QUERY.sub(_kept_inner, found)
    if "=" not in found or not ("://" in found or _RELATIVE.fullmatch(found)):
        return found
    kept = _PARAMETER.sub(_kept, found)
    return kept.replace("&", "?", 1) if "?" in found and "?" not in kept else kept


def unsigned_uri(uri: str) -> str:
    """Return `uri` without user and signatures in their usual places, as fingerprints have it.

    This must not change: rows whose fingerprint changes are generated again.
    """
    return "::".join(_public_link(link) for link in uri.split("::"))


@dataclass(frozen=True, slots=True)
class UrlForm:
    """The scheme, and host or account, with which a URL names the paths of its filesystem.

    fsspec drops them from its paths, and puts back only one of the schemes of the filesystem.

    Attributes:
        url: any fsspec URL, not chained (`::`).
        path: its path on its filesystem.
    """

    url: str
    path: str

    def url_of(self, path: str) -> str:
        """Return the URL, in this form, of another path on the filesystem."""
        scheme, _, rest = self.url.partition("://")
        container, at, _ = rest.partition("/")[0].rpartition("@")
        if at and scheme.lower() in _CONTAINER_SCHEMES and ":" not in container:
            authority, (_, _, inside) = rest.partition("/")[0], path.partition("/")
            return f"{scheme}://{authority}/{inside}"
        whole = self.url.rstrip("/")
        if scheme not in _ALIASES and self.path and whole.endswith(self.path):
            return whole.removesuffix(self.path) + path
        return f"{_ALIASES.get(scheme, scheme)}://{path}"


def _without_user(link: str) -> str:
    """Remove a user from an unusual place: without a scheme, or with a `/` in the password."""
    match = _ODD_USER.match(link) or _ESCAPED_USER.match(link)
    if match is None or _LOCAL_FILE.match(link):
        return link
    return f"{match['start']}{link[match.end() :]}"


def _kept(match: re.Match[str]) -> str:
    """Return a parameter, or nothing if it is secret."""
    name = unquote(unquote(match["name"])).lower().strip()
    name = name.partition("[")[0] or name
    plain = re.sub(r"[_.\-]", "", name)
    is_secret = _is_secret(name) or plain.endswith(_MORE_ENDINGS) or plain in _MORE_NAMES
    is_secret |= plain in _SIGNATURES_IF_LONG and _LONG.fullmatch(match["value"]) is not None
    return "" if is_secret or _has_secrets(match["value"]) else match.group()


def _scheme_of(match: re.Match[str]) -> str:
    return match["start"] or match["relative"]


def _kept_inner(match: re.Match[str]) -> str:
    return "" if _has_secrets(match["value"]) else match.group()


def _has_secrets(escaped: str) -> bool:
    """Return True if the value of a parameter contains, escaped, a URL or parameters with some."""
    if "%" not in escaped:
        return False
    inner = f"x://h/?{unquote(unquote(escaped))}"
    return redact_uri(inner) != inner


def _public_link(link: str) -> str:
    scheme, separator, rest = link.partition("://")
    if not separator or scheme == "file":
        return link
    end = re.search(r"[/?#]", rest)
    authority, tail = (rest, "") if end is None else (rest[: end.start()], rest[end.start() :])
    user, at, host = authority.rpartition("@")
    if at and not (scheme.lower() in _CONTAINER_SCHEMES and ":" not in user):
        authority = host
    return f"{scheme}://{authority}{_public_query(tail)}"


def _public_query(tail: str) -> str:
    before, mark, query = tail.partition("?")
    if not mark:
        return tail
    query, fragment_mark, fragment = query.partition("#")
    kept = [item for item in query.split("&") if not _is_secret(item.partition("=")[0])]
    query = f"?{'&'.join(kept)}" if any(kept) else ""
    return f"{before}{query}{fragment_mark}{fragment}"


def _is_secret(name: str) -> bool:
    name = name.lower()
    plain = name.replace("_", "").replace("-", "")
    return (
        name.startswith(_SECRET_PREFIXES)
        or plain in _SECRET_NAMES
        or any(word in plain for word in _SECRET_WORDS)
    )
