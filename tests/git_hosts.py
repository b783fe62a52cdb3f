"""A host of git repositories: git's own HTTP server (`git http-backend`) behind TLS, with a login for whom it knows."""

import ipaddress
import os
import shutil
import ssl
import subprocess
from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "git.example"
LOGIN = ("reader", "made-up-token-9f2c")
PRIVATE = "team/private"
PUBLIC = "team/public"
MOVED = "team/moved"
AWAY = "team/away"
SLOW = "team/slow"
BROKEN = "team/broken"
GIT = shutil.which("git")


def git(folder: Path, *words: str) -> str:
    """Run git there, as somebody who has no settings; what it says."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.com",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.com",
    }
    done = subprocess.run(["git", *words], cwd=folder, env=environment, capture_output=True, check=True, timeout=30)
    return done.stdout.decode().strip()


class GitHost:
    """`login`: whether it was shown its own, in each request. `hold`: until then, nothing more is said of what is slow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.logins: list[str] = []
        self.hold = anyio.Event()
        self.certificate = folder / "certificate.pem"
        self._key = folder / "key.pem"

    @property
    def host(self) -> str:
        """As a repository's address has it."""
        return f"{NAME}:{self.port}"

    def add(self, name: str, files: Mapping[str, str | bytes], *more: Mapping[str, str]) -> str:
        """A repository with a commit of these files, and one more for each of `more`; its last commit."""
        work, bare = self.folder / "work" / name, self.folder / "bare" / f"{name}.git"
        work.mkdir(parents=True)
        git(work, "init", "--quiet", "--initial-branch=main")
        for commit in (files, *more):
            for path, content in commit.items():
                file = work / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content if isinstance(content, bytes) else content.encode())
            git(work, "add", "--all")
            git(work, "commit", "--quiet", "--message=made up")
        git(self.folder, "clone", "--quiet", "--bare", str(work), str(bare))
        for setting in ("http.receivepack", "uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
            git(bare, "config", setting, "true")
        return git(work, "rev-parse", "HEAD")

    def tls(self) -> ssl.SSLContext:
        """Whom a client has to trust."""
        return ssl.create_default_context(cafile=str(self.certificate))

    @asynccontextmanager
    async def serve(self) -> AsyncGenerator[None]:
        """Serve at `port`."""
        self._certify()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self._key)
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.port = int(runner.addresses[0][1])
        try:
            yield
        finally:
            self.hold.set()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        login = request.headers.get("authorization", "")
        self.logins.append(login)
        if path.startswith(PRIVATE) and login != "Basic " + b64encode(":".join(LOGIN).encode()).decode():
            return web.Response(status=401, headers={"www-authenticate": 'Basic realm="made up"'})
        odd = self._odd(path, request.query_string)
        if odd:
            return odd
        if path.startswith(SLOW) and request.method == "POST":
            await self.hold.wait()
        if path.startswith(BROKEN) and request.method == "POST":
            return web.Response(body=b"nonsense", content_type="application/x-git-upload-pack-result")
        place = path.replace(SLOW, PUBLIC).replace(BROKEN, PUBLIC)
        return await self._backend(request, _with_suffix(place))

    def _odd(self, path: str, query: str) -> web.Response | None:
        """What stands at an address where no repository is."""
        moved, elsewhere = f"https://{self.host}/{path.replace(MOVED, PUBLIC)}?{query}", f"https://other.example/{path}"
        odd = {
            MOVED: web.Response(status=301, headers={"location": moved}),
            "team/gone-elsewhere": web.Response(status=302, headers={"location": elsewhere}),
            AWAY: web.Response(status=503),
            "team/website": web.Response(text="<html>", content_type="text/html"),
        }
        return next((answer for start, answer in odd.items() if path.startswith(start)), None)

    async def _backend(self, request: web.Request, path: str) -> web.Response:
        """What git's own server says, as a CGI program."""
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.folder / "bare"),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "PATH_INFO": f"/{path}",
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
            "REMOTE_USER": "reader",
        }
        body = await request.read()
        environment["CONTENT_LENGTH"] = str(len(body))
        done = await anyio.run_process(["git", "http-backend"], input=body, env=environment, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(headers.pop("Status", "200").split()[0])
        kind = headers.pop("Content-Type", "text/plain").partition(";")[0]
        return web.Response(status=status, body=content, content_type=kind)

    def _certify(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
        now = datetime.now(tz=UTC)
        names = [x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self._key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


def _with_suffix(path: str) -> str:
    """The path below the folder of bare repositories."""
    for end in ("/info/refs", "/git-upload-pack", "/git-receive-pack"):
        if path.endswith(end):
            return f"{path.removesuffix(end).removesuffix('.git')}.git{end}"
    return path
