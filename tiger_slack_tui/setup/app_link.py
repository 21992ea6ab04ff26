"""The link that opens Slack's page “Create an app” with the program's manifest filled in."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import orjson

_MANIFEST = "slack-app-manifest.json"
_CREATE = "https://api.slack.com/apps?new_app=1&manifest_json="


def create_app_link() -> str:
    """The link. The manifest is the one that belongs to this program: in the installed package, or in a checkout."""
    package = Path(__file__).parent.parent
    shipped = package / _MANIFEST
    manifest = shipped if shipped.is_file() else package.parent / _MANIFEST
    return _CREATE + quote(orjson.dumps(orjson.loads(manifest.read_bytes())).decode(), safe=":,")
