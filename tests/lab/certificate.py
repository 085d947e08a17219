"""Certificates for the laboratory, made with openssl: self-signed ones, and an authority that signs others."""
import os
import subprocess


def _openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


class Certificate:
    """NAME.pem (the chain) and NAME.key below the folder, for these names; kind is rsa:2048, ec or ed25519. by is the
    certificate that signs it."""

    def __init__(self, folder, name, names, kind="ec", by=None, days=30):
        self.chain, self.key = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")
        self.names = names
        words = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]}.get(kind, [kind])
        san = ",".join(("email:" if "@" in n else "DNS:") + n for n in names)
        how = ["-CA", by.chain, "-CAkey", by.key] if by else []
        _openssl("req", "-x509", "-newkey", *words, "-nodes", "-keyout", self.key, "-out", self.chain, "-days", str(days),
                 "-subj", "/CN=" + names[0], "-addext", "subjectAltName=" + san,
                 "-addext", "basicConstraints=critical,CA:" + ("FALSE" if by else "TRUE"), *how)
        os.chmod(self.key, 0o600)

    def section(self, title):
        """For postern.conf."""
        return f'certificate "{title}" {{ chain = "{self.chain}"\n key = "{self.key}" }}\n'

    def fingerprint(self):
        """SHA-256, as rules write it."""
        der = subprocess.run(["openssl", "x509", "-in", self.chain, "-outform", "DER"], check=True, capture_output=True).stdout
        import hashlib
        return hashlib.sha256(der).hexdigest()
