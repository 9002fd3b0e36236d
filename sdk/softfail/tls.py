"""From PEM files to a TLS context, with an error that says which file, and why: OpenSSL names neither."""

from __future__ import annotations

import ssl

_PEM = "PEM is what is read (from PKCS#12: openssl pkcs12 -in FILE -out FILE.pem)"


class InvalidSecurity(ValueError):
    """The block cannot be used; the message begins with ``security`` or the field, like ``security.ca_file``,
    and holds no secret.
    """


def client_context(
    ca_file: str | None = None,
    cert_file: str | None = None,
    key_file: str | None = None,
    key_password: str | None = None,
) -> ssl.SSLContext:
    """TLS 1.2 or newer, certificates and host names checked, with our own certificate if there is one.

    Args:
        ca_file: who may sign the other side's certificate; None: the system's authorities.
        cert_file: our own; None: none.
        key_file: its key; None: it stands in ``cert_file``.
        key_password: what the key is encrypted with; None: it is not.

    Raises:
        InvalidSecurity: a file cannot be read, is no PEM file of its kind, or the key does not open or fit.
    """
    if ca_file is not None:
        _readable("ca_file", ca_file)
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_file)
    except ssl.SSLError:
        raise InvalidSecurity(f"security.ca_file: {ca_file} holds no certificate; {_PEM}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert_file is not None:
        _show_certificate(context, cert_file, key_file, key_password)
    return context


def _show_certificate(
    context: ssl.SSLContext, cert_file: str, key_file: str | None, key_password: str | None
) -> None:
    _readable("cert_file", cert_file)
    field, path = ("cert_file", cert_file) if key_file is None else ("key_file", key_file)
    _readable(field, path)

    def ask() -> str:  # without this OpenSSL would ask on the terminal
        if key_password is None:
            raise InvalidSecurity(
                f"security.key_password: is missing, and the key in {path} is encrypted; set it"
            )
        return key_password

    try:
        context.load_cert_chain(cert_file, key_file, ask)
    except ssl.SSLError as error:
        raise InvalidSecurity(_fault(error, cert_file, field, path, key_password is not None)) from None


def _fault(error: ssl.SSLError, cert_file: str, field: str, path: str, has_password: bool) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return (
            f"security.{field}: the key in {path} is not that of the certificate in {cert_file}; give the two"
            " that belong together"
        )
    try:
        ssl.create_default_context(cafile=cert_file)
    except ssl.SSLError:
        return f"security.cert_file: {cert_file} holds no certificate; {_PEM}"
    with open(path, "rb") as file:
        has_key = b"PRIVATE KEY" in file.read(1 << 20)
    if has_password and has_key:
        return (
            f"security.key_password: does not open the key in {path}; set the one that it was encrypted with"
        )
    return f"security.{field}: {path} holds no private key; {_PEM}"


def _readable(field: str, path: str) -> None:
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        raise InvalidSecurity(
            f"security.{field}: {path} cannot be read: {error.strerror}; give the path of a PEM file"
        ) from None
    except ValueError:  # a zero byte
        raise InvalidSecurity(f"security.{field}: {path!r} is no path; give the path of a PEM file") from None
