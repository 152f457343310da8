"""Certificates made by openssl, for servers with TLS."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """PEM files NAME.pem and NAME.key in a directory, of a CA `ca` and of another, `other`."""

    directory: Path

    def openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)

    def authority(self, name: str) -> None:
        files = ("-keyout", f"{name}.key", "-out", f"{name}.pem")
        self.openssl("req", "-x509", *KEY, *files, "-subj", f"/CN={name}", "-days", "2")

    def issue(self, name: str, ca: str, hosts: str, *, days: int = 2) -> None:
        self.openssl("req", "-new", *KEY, "-keyout", f"{name}.key", "-out", "request", "-subj", f"/CN={name}")
        (self.directory / "extensions").write_text(f"subjectAltName={hosts}\n")
        self.openssl(
            "x509", "-req", "-in", "request", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial",
            "-extfile", "extensions", "-out", f"{name}.pem", "-days", str(days),
        )  # fmt: skip

    def __getitem__(self, file: str) -> str:
        return str(self.directory / file)
