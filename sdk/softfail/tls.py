"""Create a TLS context from PEM files, with errors that name the file and the reason.

OpenSSL names neither.
"""

from __future__ import annotations

import ssl

_PEM = "files must be PEM (from PKCS#12: openssl pkcs12 -in FILE -out FILE.pem)"


class InvalidSecurity(ValueError):
    """The ``security`` block cannot be used.

    The message begins with ``security`` or the field, like ``security.ca_file``, and contains no secret.
    """


def client_context(
    ca_file: str | None = None,
    cert_file: str | None = None,
    key_file: str | None = None,
    key_password: str | None = None,
) -> ssl.SSLContext:
    """Create a client context: TLS 1.2 or newer, certificates and host names verified.

    Args:
        ca_file: certificate authorities that may sign the server's certificate; None: those of the system.
        cert_file: client certificate; None: no client certificate.
        key_file: private key of the client certificate; None: it is in ``cert_file``.
        key_password: password of the private key; None: the key is not encrypted.

    Raises:
        InvalidSecurity: a file cannot be read or is not PEM, or the key does not open or match.
    """
    if ca_file is not None:
        _check_readable("ca_file", ca_file)
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_file)
    except ssl.SSLError:
        raise InvalidSecurity(f"security.ca_file: {ca_file} holds no certificate; {_PEM}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert_file is not None:
        _load_client_certificate(context, cert_file, key_file, key_password)
    return context


def _load_client_certificate(
    context: ssl.SSLContext, cert_file: str, key_file: str | None, key_password: str | None
) -> None:
    _check_readable("cert_file", cert_file)
    field, path = ("cert_file", cert_file) if key_file is None else ("key_file", key_file)
    _check_readable(field, path)

    def password() -> str:  # without a callback OpenSSL would ask on the terminal
        if key_password is None:
            raise InvalidSecurity(
                f"security.key_password: is missing, and the key in {path} is encrypted; set it"
            )
        return key_password

    try:
        context.load_cert_chain(cert_file, key_file, password)
    except ssl.SSLError as error:
        raise InvalidSecurity(
            _explain_load_error(error, cert_file, field, path, key_password is not None)
        ) from None


def _explain_load_error(
    error: ssl.SSLError, cert_file: str, field: str, path: str, has_password: bool
) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return (
            f"security.{field}: the key in {path} does not match the certificate in {cert_file}; set a"
            " certificate and its own key"
        )
    try:
        ssl.create_default_context(cafile=cert_file)
    except ssl.SSLError:
        return f"security.cert_file: {cert_file} holds no certificate; {_PEM}"
    with open(path, "rb") as file:
        has_key = b"PRIVATE KEY" in file.read(1 << 20)
    if has_password and has_key:
        return f"security.key_password: does not open the key in {path}; set the password of that key"
    return f"security.{field}: {path} holds no private key; {_PEM}"


def _check_readable(field: str, path: str) -> None:
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        raise InvalidSecurity(
            f"security.{field}: {path} cannot be read: {error.strerror}; give the path of a PEM file"
        ) from None
    except ValueError:  # a zero byte in the path
        raise InvalidSecurity(
            f"security.{field}: {path!r} is not a valid path; give the path of a PEM file"
        ) from None
