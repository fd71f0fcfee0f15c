"""Go through a proxy, for `--proxy`.

Importing this module imports httpx.
"""

import httpx

from staging._net.tls import default_tls


async def open_proxy(url: str) -> httpx.AsyncClient:
    """Return a client that sends everything through the proxy at `url`.

    It takes nothing from the environment. It trusts the authorities that the library trusts without a proxy.

    Raises:
        ImportError: for a SOCKS proxy without the package that speaks it.
        DownloadError: if the system's trust store cannot be read.
    """
    return httpx.AsyncClient(proxy=url, trust_env=False, verify=await default_tls())
