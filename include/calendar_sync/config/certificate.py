"""A client certificate with its private key, in one PEM text."""

import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509 import load_pem_x509_certificate

_PRIVATE = re.compile(
    r"-----BEGIN (\w+ )?PRIVATE KEY-----.+?-----END (\w+ )?PRIVATE KEY-----", re.S
)


def read_certificate(text: str) -> tuple[str, str]:
    """Certificate and private key, each as PEM.

    Raises:
        ValueError: one cannot be read, or they are not of each other. It says so without them.
    """
    try:
        certificate = load_pem_x509_certificate(text.encode())
        key = load_pem_private_key(_private_part(text), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        certificate, key = None, None
    if certificate is None or not isinstance(key, RSAPrivateKey):
        raise ValueError("the certificate must be PEM, with its RSA private key")
    if certificate.public_key() != key.public_key():
        raise ValueError("certificate and private key do not belong together")
    return (
        certificate.public_bytes(Encoding.PEM).decode(),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    )


def _private_part(pem: str) -> bytes:
    found = _PRIVATE.search(pem)
    return found[0].encode() if found else b""
