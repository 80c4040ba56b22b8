#!/bin/sh
# The guess: a URL that botocore presigns is signed as its requests are, by Signature Version 4.
# What happens: a GET of an object is signed by Version 4, and a presigned URL of the same client by
#   Version 2 (AWSAccessKeyId, Signature, Expires), unless the client's config says
#   signature_version="s3v4". This holds for us-east-1 and with an endpoint of one's own; in
#   eu-central-1, which has never known Version 2, the URL has Version 4. s3fs.sign gives the same.
# Whom it hurts: everyone who hands out presigned URLs of a store that only looks like S3. rclone's
#   server answers 400 UnsupportedAlgorithm to them, while all other calls of the client work.
# Exit code: 0 while the library behaves like this, 1 if it has changed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check botocore==1.43.117
"$work/venv/bin/python" - <<'PYTHON'
import sys
from urllib.parse import parse_qs, urlsplit

import botocore
import botocore.session
from botocore.config import Config


def algorithms(**options):
    """Return the signature of a request, and that of a presigned URL."""
    client = botocore.session.get_session().create_client(
        "s3", aws_access_key_id="key", aws_secret_access_key="secret", **options
    )
    seen = []

    def stop(request, **_):
        seen.append(str(request.headers["Authorization"]).split()[0])
        raise InterruptedError

    client.meta.events.register("before-send.s3.GetObject", stop)
    where = {"Bucket": "bucket", "Key": "key"}
    try:
        client.get_object(**where)
    except InterruptedError:
        pass
    query = parse_qs(urlsplit(client.generate_presigned_url("get_object", Params=where)).query)
    request = "4" if "AWS4-HMAC-SHA256" in seen[0] else seen[0]
    url = "4" if "X-Amz-Algorithm" in query else "2" if "AWSAccessKeyId" in query else str(query)
    return request, url


own = {"region_name": "us-east-1", "endpoint_url": "http://127.0.0.1:9"}
found = {
    "us-east-1": algorithms(region_name="us-east-1"),
    "an endpoint of one's own": algorithms(**own),
    "eu-central-1": algorithms(region_name="eu-central-1"),
    "s3v4": algorithms(**own, config=Config(signature_version="s3v4")),
}
print(f"botocore {botocore.__version__}: versions of a request and of a presigned URL")
for case, versions in found.items():
    print(f"  {case}: {' and '.join(versions)}")
expected = [("4", "2"), ("4", "2"), ("4", "4"), ("4", "4")]
sys.exit(list(found.values()) != expected)
PYTHON
