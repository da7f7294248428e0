"""Certificates for tests: an authority, and servers' certificates that are right or wrong in one way each."""

import subprocess
from pathlib import Path

from .process import new_dir


class Authority:
    """A certificate authority of its own. `certificate` is the file for sslrootcert and its like."""

    def __init__(self):
        self.dir = new_dir("ca")
        self.key, self.certificate = self.dir / "ca.key", self.dir / "ca.crt"
        _openssl("req", "-x509", *_new_key(self.key), "-out", self.certificate, "-subj", "/CN=tailrace test authority",
                 "-days", "2")

    def issue(self, name, subject="localhost", hosts=("DNS:localhost", "IP:127.0.0.1"), days=2):
        """(certificate, key) files. A negative number of days gives one that has expired."""
        key, request, certificate = (self.dir / f"{name}.{end}" for end in ("key", "csr", "crt"))
        extensions = self.dir / f"{name}.ext"
        extensions.write_text(f"subjectAltName={','.join(hosts)}\n" if hosts else "", encoding="ascii")
        _openssl("req", *_new_key(key), "-out", request, "-subj", f"/CN={subject}")
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                 "-out", certificate, "-days", str(days), "-extfile", extensions)
        return certificate, key


def enable_tls(server, authority, name="server", **kwargs):
    """Gives a Postgres a certificate of the authority; in force from its next start."""
    certificate, key = authority.issue(name, **kwargs)
    for source, where in ((certificate, "tls.crt"), (key, "tls.key")):
        path = server.dir / where
        path.write_bytes(Path(source).read_bytes())
        path.chmod(0o600)  # start() gives it to the server's user
    server.configure(ssl=True, ssl_cert_file=server.dir / "tls.crt", ssl_key_file=server.dir / "tls.key")


def enable_tls_mysql(server, authority, name="server", **kwargs):
    """The same for a MariaDB or MySQL."""
    certificate, key = authority.issue(name, **kwargs)
    for source, where in ((certificate, "tls.crt"), (key, "tls.key"), (authority.certificate, "ca.crt")):
        path = server.dir / where
        path.write_bytes(Path(source).read_bytes())
        path.chmod(0o600)
    server.configure(**{"ssl-cert": server.dir / "tls.crt", "ssl-key": server.dir / "tls.key", "ssl-ca": server.dir / "ca.crt"})


def _new_key(path):
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path]


def _openssl(*words):
    done = subprocess.run(["openssl", *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, f"openssl {words[0]}: {done.stderr}"
