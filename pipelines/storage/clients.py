"""The clients of the stores, each set so that one operation is one attempt.

Retries are ours (`patience`): a client with its own would hide the cause of a fault, wait longer
than it may, and miss the moment when the store is back. Each client also gives up a server that
says nothing for some seconds.

Most clients have no option for this, so their classes are changed here. The libraries are optional
and imported only if a URL needs them.
"""

from __future__ import annotations

import base64
import os
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import fsspec
from fsspec import AbstractFileSystem

if TYPE_CHECKING:
    from aiohttp import ClientTimeout

CONNECT_S = 5.0
SILENCE_S = 15.0  # the defaults of s3fs, for all
_PARTIAL = 206
_ZONAL_BUCKETS = "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"

Options = dict[str, Any]


def class_of(protocol: str) -> type[AbstractFileSystem]:
    """Return the filesystem class of a protocol.

    Raises:
        ImportError: its library is not installed.
        ValueError: no library is known for the protocol.
    """
    if protocol in ("gs", "gcs"):
        return _gcs()
    if protocol in ("az", "abfs", "abfss"):
        return _azure()
    if protocol == "hf":
        return _hub()
    return cast(type[AbstractFileSystem], fsspec.get_filesystem_class(protocol))


def defaults_of(cls: type[AbstractFileSystem], own: Options) -> Options:
    """Return the options of a filesystem: ours, replaced by the given ones."""
    names = (cls.protocol,) if isinstance(cls.protocol, str) else cls.protocol
    options: Options = {"use_listings_cache": False}
    if "s3" in names:
        # Many stores reject the checksum trailer that botocore adds to each upload, and some send
        # the checksum of the whole object with a range, which then never matches.
        config = {
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
            "retries": {"total_max_attempts": 1},
        }
        return options | own | {"config_kwargs": config | own.get("config_kwargs", {})}
    if "gs" in names:
        options["requests_timeout"] = _timeout()
    elif "abfs" in names:
        options |= {"connection_timeout": CONNECT_S, "read_timeout": SILENCE_S}
    elif "http" in names:
        # By default, aiohttp ends a download after 5 minutes, however much has arrived.
        own = {**own, "client_kwargs": {"timeout": _timeout(), **own.get("client_kwargs", {})}}
    return options | own


def prepare(fs: AbstractFileSystem) -> None:
    """Check the options that a filesystem checks late, and make it try each request once.

    Raises:
        ValueError: an option is not accepted.
    """
    if "s3" in fs.protocol:
        fs.connect()  # s3fs checks most of its options only on first use
        fs.retries = 1
    elif "abfs" in fs.protocol:
        _check_azure_key(fs.account_key, "account_key")
        parts = (fs.connection_string or "").split(";")
        keys = [part.removeprefix("AccountKey=") for part in parts if part.startswith("AccountKey")]
        for key in keys:
            _check_azure_key(key, "connection_string: its AccountKey")


def _check_azure_key(key: str | None, name: str) -> None:
    """Azure's client would find out only when it signs its first request."""
    try:
        base64.b64decode(key or "", validate=True)
    except ValueError as error:
        raise ValueError(f"{name} is not base64; copy the whole key of the account") from error


def _timeout() -> ClientTimeout:
    from aiohttp import ClientTimeout  # noqa: PLC0415 (only for stores that use it)

    return ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)


def _gcs() -> type[AbstractFileSystem]:
    # Unless this is off, gcsfs asks for the type of a bucket over gRPC before its operations. An
    # endpoint that has only HTTP then costs a minute each time.
    os.environ.setdefault(_ZONAL_BUCKETS, "false")
    from gcsfs.core import GCSFileSystem  # noqa: PLC0415

    if os.environ[_ZONAL_BUCKETS].lower() in ("true", "1"):
        return cast(type[AbstractFileSystem], fsspec.get_filesystem_class("gs"))
    return _changed(GCSFileSystem, _OneGcsRequest)


class _OneGcsRequest:
    """Changes GCSFileSystem: one request per call, and refusals with their status."""

    async def _request(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (gcsfs has no types)
        from gcsfs.core import GCSFileSystem  # noqa: PLC0415
        from gcsfs.retry import HttpError  # noqa: PLC0415

        try:
            return await GCSFileSystem._request.__wrapped__(self, *args, **kwargs)  # noqa: SLF001
        except ValueError as error:  # a 400 whose message has the word "invalid"
            raise HttpError({"code": 400, "message": str(error)}) from error
        except OSError as error:
            if type(error) is OSError and error.errno is None:  # a 403
                raise PermissionError(str(error)) from error  # gcsfs looks at the text
            raise

    async def _get_file_request(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        from gcsfs.core import GCSFileSystem  # noqa: PLC0415

        once = GCSFileSystem._get_file_request.__wrapped__  # noqa: SLF001
        return await once(self, *args, **kwargs)


def _azure() -> type[AbstractFileSystem]:
    from adlfs import AzureBlobFileSystem  # noqa: PLC0415

    return _changed(AzureBlobFileSystem, _OneAzureRequest)


class _OneAzureRequest:
    """Changes AzureBlobFileSystem: one request per call, and time-outs for listings, too."""

    service_client: Any

    def do_connect(self) -> None:
        """Connect, then change the policies of the client, which all its clients share."""
        super().do_connect()  # type: ignore[misc]
        settings = self.service_client._config  # noqa: SLF001
        settings.retry_policy.total_retries = 0
        connection = settings.transport.connection_config
        connection.timeout, connection.read_timeout = CONNECT_S, SILENCE_S


def _hub() -> type[AbstractFileSystem]:
    from huggingface_hub import HfFileSystem  # noqa: PLC0415
    from huggingface_hub.utils import _http, _pagination  # noqa: PLC0415

    # Listings only: downloads of models by other libraries keep their retries.
    pages: Any = _pagination
    pages.http_backoff = partial(_http.http_backoff, max_retries=0)
    return _changed(HfFileSystem, _OneHubRequest)


class _OneHubRequest:
    """Changes HfFileSystem: one request per read, instead of six with 23 s of waits."""

    dircache: dict[str, Any]

    def info(self, path: str, **options: Any) -> Any:  # noqa: ANN401 (as in fsspec)
        """Describe a file or folder as it is now; HfFileSystem keeps its listings for ever."""
        self.dircache.clear()
        try:
            return super().info(path, **options)  # type: ignore[misc]
        except (ValueError, NotImplementedError) as error:  # not the name of a file in a repository
            raise FileNotFoundError(str(error)) from error

    def find(self, path: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """List the files below a folder."""
        try:
            return super().find(path, *arguments, **options)  # type: ignore[misc]
        except (ValueError, NotImplementedError) as error:
            raise FileNotFoundError(str(error)) from error

    def ls(self, path: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """List a folder."""
        try:
            return super().ls(path, *arguments, **options)  # type: ignore[misc]
        except (ValueError, NotImplementedError) as error:
            raise FileNotFoundError(str(error)) from error

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_kwargs: object
    ) -> bytes:
        """Return the bytes of a file, or a range of them."""
        from huggingface_hub import get_session  # noqa: PLC0415
        from huggingface_hub.utils._headers import build_hf_headers  # noqa: PLC0415
        from huggingface_hub.utils._http import hf_raise_for_status  # noqa: PLC0415

        fs = cast(Any, self)
        headers = build_hf_headers(token=fs.token)
        if start or end is not None:
            last = "" if end is None else end - 1
            headers["Range"] = f"bytes={start or 0}-{last}"
        try:
            url = fs.url(path)
        except (ValueError, NotImplementedError) as error:
            raise FileNotFoundError(str(error)) from error
        response = get_session().get(url, headers=headers, timeout=SILENCE_S)
        hf_raise_for_status(response)
        content = response.content
        return content if response.status_code == _PARTIAL else content[start:end]


_classes: dict[type[AbstractFileSystem], type[AbstractFileSystem]] = {}


def _changed(cls: type[AbstractFileSystem], change: type) -> type[AbstractFileSystem]:
    """Return a subclass of `cls` with the methods of `change`: always the same, so picklable."""
    if cls not in _classes:
        metaclass: Any = type(cls)
        _classes[cls] = metaclass(cls.__name__, (change, cls), {"__module__": __name__})
    return _classes[cls]
