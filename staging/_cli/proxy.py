"""Go through a proxy, for `--proxy`."""

from typing import Any

from staging import DownloadError
from staging._net.tls import default_tls


async def open_proxy(url: str) -> Any:
    """Return an httpx client that sends everything through the proxy at `url`.

    It takes nothing from the environment. It trusts the authorities that the library trusts without a proxy.

    Raises:
        DownloadError: without the package that speaks to such a proxy, or if the system's trust store cannot be read.
    """
    verify = await default_tls()
    try:
        import httpx  # noqa: PLC0415  # only a proxy needs it

        return httpx.AsyncClient(proxy=url, trust_env=False, verify=verify)
    except ImportError:
        raise DownloadError("connect", "--proxy: this kind of proxy needs: pip install httpx[socks]") from None
