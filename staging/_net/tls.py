"""Decide whom TLS trusts, and say why a handshake failed."""

import contextlib
import functools
import ssl
import sys
import threading
from pathlib import Path

from staging._errors import DownloadError, StagingError
from staging._net.descriptors import exhausted
from staging._net.urls import Origin
from staging._text import one_line
from staging._threads import in_thread

_OWN_TRUST = "tls= takes an SSL context that trusts it"
_DISTRUST = {  # X509_V_ERR_* of OpenSSL's x509_vfy.h
    10: ("its certificate has expired", ""),
    9: ("its certificate is not valid yet", ""),
    18: ("its certificate is self-signed", _OWN_TRUST),
    19: ("its certificate was issued by an authority that is not trusted", _OWN_TRUST),
    20: ("its certificate was issued by an authority that is not trusted", _OWN_TRUST),
    62: ("its certificate is for another host", ""),
    64: ("its certificate is for another host", ""),
}


def distrust(origin: Origin, error: ssl.SSLCertVerificationError) -> DownloadError:
    """Return the error for a certificate that is not trusted."""
    why, hint = _DISTRUST.get(error.verify_code, (one_line(error.verify_message), ""))
    detail = f"{origin} cannot be trusted: {why}"
    return DownloadError("connect", detail, hint=hint, host=origin.host, retryable=False)


def tls_fault(error: OSError | ValueError) -> str:
    """Return in words why a handshake failed."""
    if isinstance(error, ValueError):
        return "its name cannot be sent"
    if not isinstance(error, ssl.SSLError):
        return "the connection broke during the handshake"
    if isinstance(error, ssl.SSLEOFError):
        return "the peer hung up during the handshake"
    return one_line((error.reason or "TLS failed").replace("_", " ").lower())


async def default_tls() -> ssl.SSLContext:
    """Return the process's TLS context.

    A thread builds it once, in tens of milliseconds.

    Raises:
        DownloadError: ``connect``, if the system's trust store cannot be read.
        WorkspaceError: ``storage``, if there is no descriptor or thread to read it.
    """
    if _build_tls.cache_info().currsize:
        return _build_tls()
    try:
        return await in_thread(_build_tls_once, abandon=True)
    except StagingError:
        raise
    except (OSError, ImportError) as error:
        why = one_line(getattr(error, "strerror", None) or str(error))
        raise DownloadError("connect", f"the system's trust store cannot be read: {why}") from None


_building = threading.Lock()


def _build_tls_once() -> ssl.SSLContext:
    with _building:  # a dozen first downloads at once build one context
        try:
            return _build_tls()
        except (OSError, ImportError) as error:
            raise exhausted(error) or error from None


@functools.cache
def _build_tls() -> ssl.SSLContext:
    # not create_default_context: that takes SSL_CERT_FILE, SSL_CERT_DIR and SSLKEYLOGFILE from the environment
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if sys.platform == "win32":
        context.load_default_certs()
        return context
    paths = ssl.get_default_verify_paths()
    if Path(paths.openssl_cafile).is_file():
        context.load_verify_locations(cafile=paths.openssl_cafile)
    hashed = False
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        hashed = any(path.suffix == ".0" for path in Path(paths.openssl_capath).iterdir())
    if hashed:
        context.load_verify_locations(capath=paths.openssl_capath)
    elif not context.cert_store_stats()["x509_ca"]:
        import certifi  # noqa: PLC0415  # comes with httpx; needed only where the system has no trust store

        context.load_verify_locations(certifi.where())
    return context
