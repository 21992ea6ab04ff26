"""Says why Slack was not reached: which host, from which setting, and what may be the cause."""

from __future__ import annotations

import os
import ssl
from urllib.parse import urlsplit

import aiohttp

from tiger_slack_tui.base.errors import SlackUnavailable
from tiger_slack_tui.base.settings import SLACK_API_URL


def unreached(url: str, error: Exception) -> SlackUnavailable:
    """The error for a host that was not reached. `url` is shown only as its host."""
    name = _host(url)
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return SlackUnavailable(
            f"{name} was not reached: the proxy of HTTPS_PROXY does not let it through"
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return SlackUnavailable(f"{name} does not resolve: network, DNS or proxy?")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return SlackUnavailable(
            f"{name} has no certificate that is trusted here: is a proxy in between? SSL_CERT_FILE can trust it"
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        reason = os.strerror(number) if number else "no connection"
        return SlackUnavailable(f"{name} was not reached ({reason}): network, firewall or proxy?")
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError):
        return SlackUnavailable(f"{name} closed the connection before its answer")
    return SlackUnavailable(f"{name} was not reached: {type(error).__name__}")


def _host(url: str) -> str:
    """The host and its port, if it has one. Unless it is Slack's own, with the setting that it comes from."""
    try:
        parts = urlsplit(url)
    except ValueError:  # the peer sent something else
        return "an invalid URL (SLACK_API_URL)"
    host = parts.netloc.rpartition("@")[2]
    is_slack = f".{parts.hostname}".endswith(f".{urlsplit(SLACK_API_URL).hostname}")
    return host if is_slack else f"{host} (SLACK_API_URL)"
