"""A certificate for 127.0.0.1 that nobody has signed but itself, made with PHP so that no other tool is needed."""

import ssl
from pathlib import Path

from tests.clients.php import run

SETTINGS = """
[req]
distinguished_name = name
[name]
[local]
subjectAltName = IP:127.0.0.1
basicConstraints = CA:TRUE
"""

MAKE = """<?php
$options = ['config' => __DIR__ . '/settings', 'x509_extensions' => 'local', 'private_key_bits' => 2048,
    'private_key_type' => OPENSSL_KEYTYPE_EC, 'curve_name' => 'prime256v1', 'digest_alg' => 'sha256'];
$key = openssl_pkey_new($options);
$request = openssl_csr_new(['commonName' => 'Queue Server tests'], $key, $options);
openssl_x509_export_to_file(openssl_csr_sign($request, null, $key, 2, $options), __DIR__ . '/certificate');
openssl_pkey_export_to_file($key, __DIR__ . '/key', null, $options);
"""


def make_certificate(folder: Path) -> Path:
    """The certificate's file; its key is beside it."""
    (folder / "settings").write_text(SETTINGS)
    (folder / "make.php").write_text(MAKE)
    done = run(folder / "make.php")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return folder / "certificate"


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key"))
    return context
