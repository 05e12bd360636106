"""The servers: how each is started, and how it is renewed under load. All of them listen on 127.0.0.1 and keep their files in one folder."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import string
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BIN = HERE / ".venv/bin"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


async def listening(port):
    """Waits until somebody listens there."""
    for _ in range(2000):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    raise SystemExit(f"nobody listens on port {port}")


class Server:
    """One server. `plain` and `secure` are ports: HTTP/1 over TCP, and what ALPN offers over TLS."""

    name = ""
    needs = ""
    plain = secure = None
    renewed_by = "killed, started anew"
    # What a call may need that meets an early answer.
    retries = 0

    def __init__(self, folder, streams=100):
        self.folder, self.streams = Path(folder), streams
        self.certificate, self.key, self.both = (self.folder / name for name in ("cert.pem", "key.pem", "both.pem"))
        self.log = self.folder / f"{self.name.replace(' ', '-')}.log"
        self.processes = []

    def __str__(self):
        return self.name

    @classmethod
    def missing(cls):
        """What this machine lacks for it, if anything."""
        return None if shutil.which(cls.needs) or (BIN / cls.needs).exists() else cls.needs

    def run(self, *command, **options):
        with (self.folder / f"{self.name}.out").open("ab") as out:
            process = subprocess.Popen([str(word) for word in command], stdout=options.pop("stdout", out), stderr=out, start_new_session=True, **options)
        self.processes.append(process)
        return process

    def backend(self, kind, port):
        return self.run("node", HERE / "backend.mjs", kind, port, self.log, self.certificate, self.key, self.streams)

    async def start(self):
        self.log.write_text("")
        await self.launch()

    async def launch(self):
        raise NotImplementedError

    async def renew(self):
        # Beside the calls, so that it meets them at work.
        await asyncio.to_thread(self.kill)
        await self.launch()

    def kill(self):
        for process in self.processes:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        self.processes.clear()

    def seen(self):
        """How often each request came, by its number."""
        counts = {}
        for number in re.findall(rb"\?id=(\d+)", self.log.read_bytes()):
            counts[int(number)] = counts.get(int(number), 0) + 1
        return counts

    def url(self, http2):
        return f"https://127.0.0.1:{self.secure}" if http2 else f"http://127.0.0.1:{self.plain}"


class Proxy(Server):
    """A proxy, with a backend that stays."""

    renewed_by = "reloaded"

    async def launch(self):
        self.plain, self.secure, self.behind = free_port(), free_port(), free_port()
        self.backend("http", self.behind)
        await listening(self.behind)
        self.begin()
        await listening(self.plain)
        await listening(self.secure)

    def written(self, name):
        """A configuration with the names of this run."""
        names = {"folder": self.folder, "certificate": self.certificate, "key": self.key, "both": self.both, "streams": self.streams}
        text = string.Template((HERE / name).read_text())
        path = self.folder / name
        path.write_text(text.substitute(names, plain=self.plain, secure=self.secure, backend=self.behind))
        return path


class Nginx(Proxy):
    name = needs = "nginx"

    def begin(self):
        self.master = self.run("nginx", "-c", self.written("nginx.conf"), "-g", "daemon off;")

    async def renew(self):
        self.master.send_signal(signal.SIGHUP)


class Haproxy(Proxy):
    name = needs = "haproxy"

    def begin(self):
        self.master = self.run("haproxy", "-W", "-f", self.written("haproxy.cfg"))

    async def renew(self):
        self.master.send_signal(signal.SIGUSR2)


class Envoy(Proxy):
    """Its listeners come from a file that it watches: another one drains what is connected."""

    name = "Envoy"
    needs = "envoy"
    turn = 0

    def begin(self):
        self.listeners()
        address = {"socket_address": {"address": "127.0.0.1", "port_value": self.behind}}
        endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
        cluster = {"name": "back", "type": "STATIC", "load_assignment": {"cluster_name": "back", "endpoints": endpoints}}
        config = {
            "node": {"id": "real", "cluster": "real"},
            "dynamic_resources": {"lds_config": {"path_config_source": {"path": str(self.folder / "listeners.json")}}},
            "static_resources": {"clusters": [cluster]},
        }
        path = self.folder / "envoy.json"
        path.write_text(json.dumps(config))
        drain = ["--drain-time-s", "1", "--drain-strategy", "immediate"]
        self.run(BIN / "envoy", "-c", path, "--use-dynamic-base-id", "--concurrency", "2", "--log-level", "error", *drain)

    def listeners(self):
        self.turn += 1
        kinds = "type.googleapis.com/envoy."
        router = {"name": "router", "typed_config": {"@type": f"{kinds}extensions.filters.http.router.v3.Router"}}
        early = {"match": {"path": "/early"}, "direct_response": {"status": 413, "body": {"inline_string": "large"}}}
        host = {"name": "all", "domains": ["*"], "routes": [early, {"match": {"prefix": "/"}, "route": {"cluster": "back"}}]}
        manager = {
            "@type": f"{kinds}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": f"turn{self.turn}",
            "http2_protocol_options": {"max_concurrent_streams": self.streams},
            "route_config": {"virtual_hosts": [host]},
            "http_filters": [router],
        }
        certificate = {"certificate_chain": {"filename": str(self.certificate)}, "private_key": {"filename": str(self.key)}}
        tls = {
            "@type": f"{kinds}extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {"alpn_protocols": ["h2", "http/1.1"], "tls_certificates": [certificate]},
        }
        resources = []
        for name, port, more in ("plain", self.plain, {}), ("secure", self.secure, {"transport_socket": {"name": "tls", "typed_config": tls}}):
            resources.append(
                {
                    "@type": f"{kinds}config.listener.v3.Listener",
                    "name": name,
                    "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}], **more}],
                }
            )
        new = self.folder / "listeners.new"
        new.write_text(json.dumps({"version_info": str(self.turn), "resources": resources}))
        new.replace(self.folder / "listeners.json")

    async def renew(self):
        self.listeners()


class Alone(Server):
    """A server without a proxy before it."""

    http2 = False

    async def launch(self):
        self.port = getattr(self, "port", None) or free_port()
        setattr(self, "secure" if self.http2 else "plain", self.port)
        self.begin()
        await listening(self.port)


class Node(Alone):
    name, needs = "node http", "node"

    def begin(self):
        self.backend("http2" if self.http2 else "http", self.port)


class NodeHttp2(Node):
    name, http2 = "node http2", True


class Uvicorn(Alone):
    name = needs = "uvicorn"

    def begin(self):
        command = [BIN / "uvicorn", "--app-dir", HERE, "--host", "127.0.0.1", "--port", self.port, "--log-level", "error", "app:app"]
        self.run(*command, env=os.environ | {"LOG": str(self.log)})


class Hypercorn(Alone):
    """A body that goes on after its answer breaks its connection (a KeyError of its own), so that a call which follows needs another attempt."""

    name, needs, http2 = "hypercorn", "hypercorn", True
    retries = 3

    def begin(self):
        secret = ["--certfile", self.certificate, "--keyfile", self.key]
        command = [BIN / "hypercorn", "--workers", "0", "--bind", f"127.0.0.1:{self.port}", *secret, "app:app"]
        self.run(*command, cwd=HERE, env=os.environ | {"LOG": str(self.log)})


class Nghttpd(Alone):
    """Its log is what it tells of the frames that it gets."""

    name = needs = "nghttpd"
    http2 = True

    def begin(self):
        files = self.folder / "files"
        files.mkdir(exist_ok=True)
        (files / "small").write_text("ok")
        (files / "large").write_text("x" * 2_000_000)
        command = ["stdbuf", "-oL", "nghttpd", "--verbose", "--address", "127.0.0.1", "--htdocs", files, "--max-concurrent-streams", self.streams]
        with self.log.open("ab") as log:
            self.run(*command, self.port, self.key, self.certificate, stdout=log)


ALL = (Nginx, Haproxy, Envoy, Node, NodeHttp2, Uvicorn, Hypercorn, Nghttpd)


def certificate(folder):
    """A certificate for 127.0.0.1 that is its own authority."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=here"]
    done = subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    (folder / "both.pem").write_text(cert.read_text() + key.read_text())
