"""The servers under test: how each is set up, started, watched and stopped."""

import grp
import http.client
import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

from dns_data import ZONE

TICK = os.sysconf("SC_CLK_TCK")


def write(path, text):
    with open(path, "w") as out:
        out.write(text)
    return path


def nsd(port, home, zone_file, workers):
    return ["nsd", "-d", "-c", write(f"{home}/nsd.conf", f"""\
server:
  ip-address: 127.0.0.1@{port}
  server-count: {workers}
  reuseport: yes
  username: ""
  chroot: ""
  zonesdir: "{home}"
  database: ""
  pidfile: "{home}/nsd.pid"
  zonelistfile: "{home}/zone.list"
  xfrdfile: "{home}/xfrd.state"
  rrl-ratelimit: 0
  ipv4-edns-size: 4096
  tcp-count: 1000
  logfile: "{home}/log"
remote-control:
  control-enable: no
zone:
  name: {ZONE}
  zonefile: {zone_file}
""")]


def knot(port, home, zone_file, workers):
    return ["knotd", "-c", write(f"{home}/knot.conf", f"""\
server:
  listen: 127.0.0.1@{port}
  rundir: {home}
  udp-workers: {workers}
  tcp-workers: {workers}
  background-workers: 1
  tcp-reuseport: on
  udp-max-payload: 4096
log:
  - target: stderr
    any: error
database:
  storage: {home}
zone:
  - domain: {ZONE}
    file: {zone_file}
    zonefile-sync: -1
    journal-content: none
""")]


def gdnsd(port, home, zone_file, workers):
    os.makedirs(f"{home}/etc/zones")
    os.symlink(zone_file, f"{home}/etc/zones/{ZONE}")
    write(f"{home}/etc/config", f"""\
options => {{
  listen => 127.0.0.1:{port}
  udp_threads => {workers}
  tcp_threads => {workers}
  max_edns_response => 4096
  min_ttl => 1
  run_dir => {home}/run
  state_dir => {home}/state
}}
""")
    return ["gdnsd", "-c", f"{home}/etc", "start"]


def bind(port, home, zone_file, workers):
    # Since 9.18.28 it has a limit of 100 records of one type; before, it doesn't know the option.
    told = tuple(int(number) for number in re.findall(r"\d+", version(["named", "-v"]))[:3])
    unlimited = "max-records-per-type 0;" if told >= (9, 18, 28) else ""
    return ["named", "-g", "-n", str(workers), "-c", write(f"{home}/named.conf", f"""\
options {{
  directory "{home}";
  listen-on port {port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  recursion no;
  minimal-responses no-auth;
  max-udp-size 4096;
  edns-udp-size 4096;
  pid-file "{home}/pid";
  session-keyfile "{home}/session.key";
  {unlimited}
}};
controls {{ }};
zone "{ZONE}" {{ type primary; file "{zone_file}"; check-names ignore; }};
""")]


def hickory(port, home, zone_file, workers):
    config = write(f"{home}/named.toml", f"""\
listen_addrs_ipv4 = ["127.0.0.1"]
listen_port = {port}
directory = "{home}"
user = "{pwd.getpwuid(os.geteuid()).pw_name}"
group = "{grp.getgrgid(os.getegid()).gr_name}"

[[zones]]
zone = "{ZONE}"
zone_type = "Primary"
file = "{zone_file}"
""")
    return ["hickory-dns", "-q", "-c", config, "-z", home, "-p", str(port), "--workers", str(workers)]


# Name: its program, the command that installs it, what sets it up, how it tells its version.
OTHERS = {
    "nsd": ("nsd", "apt install nsd", nsd, ["nsd", "-v"]),
    "knot": ("knotd", "apt install knot", knot, ["knotd", "-V"]),
    "gdnsd": ("gdnsd", "apt install gdnsd", gdnsd, ["gdnsd", "-V"]),
    "bind": ("named", "apt install bind9", bind, ["named", "-v"]),
    "hickory": ("hickory-dns", "cargo install hickory-dns", hickory, ["hickory-dns", "--version"]),
}


def version(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if re.search(r"\d+\.\d+", line)]
    return lines[0] if lines else "unknown"


class NotStarted(Exception):
    """A server that can't be measured, and why."""


class Server:
    """One running server, pinned to its CPUs."""

    def __init__(self, name, cpus):
        self.name = name
        self.cpus = cpus
        self.home = tempfile.mkdtemp(prefix=f"{name.split()[0]}-")
        self.log = f"{self.home}/output"
        self.process = None
        self.port = None
        self.load_seconds = 0.0
        self.registered_kib = None

    def spawn(self, command, env=None):
        with open(self.log, "w") as out:
            self.process = subprocess.Popen(
                ["taskset", "-c", self.cpus, *command],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                cwd=self.home, env=env, start_new_session=True,
            )

    def start_other(self, zone_file, patience):
        """Starts one of OTHERS and waits until it answers from the zone."""
        self.port = free_port()
        started = time.monotonic()
        workers = len(cpu_list(self.cpus))
        self.spawn(OTHERS[self.name][2](self.port, self.home, zone_file, workers))
        self.await_answer(started, patience)
        return self

    def await_answer(self, started, patience):
        while not answers(self.port):
            if self.process.poll() is not None:
                raise NotStarted(f"ended with {self.process.returncode}: {self.last_words()}")
            if time.monotonic() - started > patience:
                raise NotStarted(f"didn't answer within {patience:.0f} s (--load-timeout): {self.last_words()}")
            time.sleep(0.1)
        self.load_seconds = time.monotonic() - started

    def last_words(self):
        """The last error that it wrote, else its last line."""
        lines = []
        for path in (self.log, f"{self.home}/log"):
            if os.path.exists(path):
                with open(path, errors="replace") as file:
                    lines += [line.strip() for line in file if line.strip()]
        errors = [line for line in lines if line.startswith("error:")]
        return (errors or lines or ["it said nothing"])[-1][:300]

    def tree(self):
        """Its process and all that come from it."""
        parents = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                fields = stat(f"/proc/{entry}/stat")
                if fields:
                    parents[int(entry)] = int(fields[1])
        pids, found = {self.process.pid}, True
        while found:
            found = {pid for pid, parent in parents.items() if parent in pids} - pids
            pids |= found
        return pids

    def cpu(self):
        """User and system seconds of the whole tree, and of threads that answer DNS."""
        total, answering = [0.0, 0.0], [0.0, 0.0]
        for pid in self.tree():
            fields = stat(f"/proc/{pid}/stat")
            add(total, fields)
            for thread in tasks(pid):
                if thread_name(pid, thread).startswith("dns-"):
                    add(answering, stat(f"/proc/{pid}/task/{thread}/stat"))
        return total, answering

    def memory_kib(self):
        """Resident memory of the whole tree, pages that its processes share counted once."""
        total = 0
        for pid in self.tree():
            try:
                with open(f"/proc/{pid}/smaps_rollup") as file:
                    total += int(re.search(r"^Pss:\s+(\d+)", file.read(), re.M).group(1))
            except (OSError, AttributeError):
                pass
        return total

    def stop(self):
        if self.process and self.process.poll() is None:
            pids = self.tree()
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            # Children outlive their parent only when it was killed.
            for pid in pids - {self.process.pid}:
                fields = stat(f"/proc/{pid}/stat")
                if fields and int(fields[3]) == self.process.pid:
                    os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.home, ignore_errors=True)


class Namebeat(Server):
    """namebeat: told over HTTP what the others read from a file."""

    def __init__(self, program, cpus, label="namebeat", flags=(), env=None):
        super().__init__(label, cpus)
        self.program = program
        self.flags = list(flags)
        self.env = env or {}
        self.http = None

    def start(self, data, patience):
        started = time.monotonic()
        os.mkdir(f"{self.home}/zones")
        # Settings of whoever runs this would be those of another server.
        env = {k: v for k, v in os.environ.items() if not k.startswith(("NAMEBEAT_", "OTEL_"))}
        self.spawn(
            [self.program, "serve", "--dns", "127.0.0.1:0", "--http", "127.0.0.1:0", "--zone", f"{ZONE}.",
             "--zones", f"{self.home}/zones", "--workers", str(len(cpu_list(self.cpus))), "--ephemeral",
             "--max-instances", str(max(1_000_000, data.total)),
             "--max-instances-per-service", str(max(10_000, data.instances)), *self.flags],
            env | self.env,
        )
        self.await_addresses(started, patience)
        empty = self.memory_kib()
        self.register(data)
        self.registered_kib = (self.memory_kib() - empty) / data.total
        self.await_answer(started, patience)
        return self

    def await_addresses(self, started, patience):
        while True:
            with open(self.log) as file:
                line = re.search(r"^listening dns=127.0.0.1:(\d+) http=127.0.0.1:(\d+)$", file.read(), re.M)
            if line:
                self.port, self.http = int(line.group(1)), int(line.group(2))
                return
            if self.process.poll() is not None or time.monotonic() - started > patience:
                raise NotStarted(self.last_words())
            time.sleep(0.05)

    def register(self, data):
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=60)
        created = 0
        for body in data.bodies():
            connection.request("POST", "/v1/instances", body)
            response = connection.getresponse()
            text = response.read()
            if response.status != 200:
                raise NotStarted(f"registering: {response.status} {text[:300]!r}")
            created += text.count(b'"status":201')
        connection.close()
        if created != data.total:
            raise NotStarted(f"{created} of {data.total} instances were registered")


def cpu_list(text):
    """CPUs of a list such as `0,2-3`."""
    cpus = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return cpus


def free_port():
    """A port that is free for UDP and TCP just now."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            return tcp.getsockname()[1]


def answers(port):
    """Whether the first service is answered with an address, or with a truncated answer."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in ("s0", *ZONE.split(".")))
    query = struct.pack(">6H", 7, 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.3)
        try:
            udp.connect(("127.0.0.1", port))
            udp.send(query)
            reply = udp.recv(65535)
        except OSError:
            return False
    truncated, rcode, count = reply[2] & 2, reply[3] & 15, reply[7]
    return rcode == 0 and bool(truncated or count)


def stat(path):
    """Fields of a stat file from the state on; none when the process is gone."""
    try:
        with open(path) as file:
            return file.read().rsplit(")", 1)[1].split()
    except OSError:
        return None


def add(times, fields):
    if fields:
        times[0] += int(fields[11]) / TICK
        times[1] += int(fields[12]) / TICK


def tasks(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def thread_name(pid, thread):
    try:
        with open(f"/proc/{pid}/task/{thread}/comm") as file:
            return file.read().strip()
    except OSError:
        return ""
