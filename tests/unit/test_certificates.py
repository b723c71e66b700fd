"""Certificates are read once in a process, and again when their file is another."""

import os
import ssl
from pathlib import Path

import certifi
import pytest

from calendar_sync.adapters.certificates import ssl_context
from calendar_sync.core.errors import ConfigurationError


def test_the_usual_ones_are_read_once_and_checked() -> None:
    found = ssl_context()
    assert found is ssl_context()
    assert (found.verify_mode, found.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    every = Path(certifi.where()).read_text()
    end = "-----END CERTIFICATE-----\n"
    first, second = (f"{part}{end}" for part in every.split(end)[:2])
    file = tmp_path / "ca.pem"
    file.write_text(first)
    os.utime(file, (1, 1))
    before = ssl_context(str(file))
    assert ssl_context(str(file)) is before
    assert before is not ssl_context()
    file.write_text(first + second)
    os.utime(file, (2, 2))
    after = ssl_context(str(file))
    assert (len(before.get_ca_certs()), len(after.get_ca_certs())) == (1, 2)
    assert (after.verify_mode, after.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_what_holds_no_certificate_is_refused(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match="CA bundle"):
        ssl_context(str(file))
