"""Keys in sections for secrets whose values are not secret.

Every other key may hold a secret: stores name theirs in many ways, and a new one is not known here.
"""

from __future__ import annotations

import re

from pipelines.config.key_paths import KeyPath

_OPTIONS = re.compile(
    r"(.*_)?(endpoint(_url)?(_s3)?|region(_name)?|project|account_name"
    r"|addressing_style|signature_version|profile(_name)?|use_ssl|verify|anon)"
    r"|account_host|default_location|location|location_mode|consistency|access|requester_pays"
    r"|version_aware|request_checksum_calculation|response_checksum_validation|auto_mkdir"
    r"|(default_)?(block_size|cache_type)|block_?size|mode|max_attempts|total_max_attempts"
    r"|max_concurrency|max_pool_connections|(connect_|read_|request_|cache_|session_)?timeout"
    r"|(listings_)?expiry_time|max_paths|use_listings_cache|skip_instance_cache|fixed_upload_size"
    r"|ServerSideEncryption|StorageClass|ACL|port|protocol",
    re.IGNORECASE,
)
_ENV: KeyPath = ("ray", "env")
_ENV_PREFIXES = re.compile(
    r"CUBLAS|CUDA|CUDNN|CXI|DIFFUSERS|FI|GLOO|HF|HUGGINGFACE|LD|MALLOC|MKL|NCCL|NUMEXPR|NVIDIA|OMP"
    r"|OPENBLAS|OTEL|PYTHON|PYTORCH|RAY|TOKENIZERS|TORCH|TORCHINDUCTOR|TRANSFORMERS|TRITON|UCX|USO"
    r"|XLA"
)
_ENV_ENDINGS = (
    *("_HOME", "_DIR", "_PATH", "_FILE", "_CACHE", "_ROOT", "_PROFILE", "_REGION", "_TIMEOUT"),
    *("_ENDPOINT", "_ENDPOINT_URL", "_ENDPOINT_URL_S3", "_THREADS", "_LEVEL", "_MODE"),
    *("_CA_BUNDLE", "_MAX_ATTEMPTS"),
)
_ENV_NAMES = re.compile(
    r"HOME|PATH|LANG|LC_ALL|TZ|TMPDIR|PYTHON(PATH|UNBUFFERED|HASHSEED)|((NO|HTTP|HTTPS|ALL)_PROXY)"
    r"|LOGLEVEL|GOOGLE_CLOUD_PROJECT|AZURE_STORAGE_ACCOUNT(_NAME)?|STORAGE_EMULATOR_HOST"
)
_SECRET_WORDS = re.compile(
    r"KEY|TOKEN(?!IZER)|SECRET|PASS|PWD|CRED|AUTH|JWT|(^|_)(SAS|SIG|PIN|PAT)(_|$)|SIGNATURE|COOKIE|CERT|CONNECTION|HEADER"
)


def is_harmless_key(path: KeyPath) -> bool:
    """Return True if the value at a path may be shown and sent as it is.

    In `ray.env`, the name must be of a known library, or say that the value is a path, an address
    or a setting. Elsewhere it must be one of the listed options of stores.
    """
    name = next(part for part in reversed(path) if isinstance(part, str))
    if path[: len(_ENV)] != _ENV:
        return _OPTIONS.fullmatch(name) is not None
    name = name.upper()
    if _ENV_NAMES.fullmatch(name) or name.endswith(_ENV_ENDINGS):
        return True
    is_known = _ENV_PREFIXES.fullmatch(name.partition("_")[0]) is not None
    return is_known and _SECRET_WORDS.search(name) is None
