"""The stores with a client of their own, set up to ask one HTTP server of a test."""

from __future__ import annotations

from typing import Any

# The account and key of Azure's emulators, which their documentation publishes.
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
STORES = ("s3", "gs", "az", "hf")


def azure_options(endpoint_url: str, key: str = AZURE_KEY) -> dict[str, str]:
    """Return the options of Azure for an emulator."""
    parts = f"AccountName={AZURE_ACCOUNT};AccountKey={key};BlobEndpoint={endpoint_url}"
    protocol = "DefaultEndpointsProtocol=http"
    return {"connection_string": f"{protocol};{parts}/{AZURE_ACCOUNT};"}


def options_at(endpoint_url: str) -> dict[str, dict[str, Any]]:
    """Return the options of all stores for a server at this URL."""
    return {
        "s3": {
            "endpoint_url": endpoint_url,
            "key": "k",
            "secret": "hush-hush-hush",
            "client_kwargs": {"region_name": "us-east-1"},
        },
        "gs": {"endpoint_url": endpoint_url, "token": "anon", "project": "p"},
        "az": azure_options(endpoint_url),
        "hf": {"endpoint": endpoint_url, "token": False},
    }


def url_of(store: str, path: str) -> str:
    """Return the URL of a path in a bucket, container or repository that always has one name."""
    inside = "datasets/owner/name" if store == "hf" else "bucket"
    return f"{store}://{inside}/{path}"
