"""What the API and DNS do with many: instances, watchers, leases that end at once, and
changes of a large service."""

import json
import selectors
import signal
import socket
import subprocess
import time
from pathlib import Path
from statistics import median

from api_load import namebeat
from dns_load import Changes, find

# Most seconds until a million instances are answered again, and octets for each of them.
RESTART_SECONDS = 3.0
INSTANCE_OCTETS = 1024

# Changes that watchers are told of, and as many that they aren't.
TOLD = 20
# Queries a second while leases end, and while a large service changes.
EXPIRY_RATE = 10_000
WIDE_RATE = 100
WIDE_INSTANCES = 10_000
WIDE_CHANGES = 1_000


def host(number):
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def instances(options, directory):
    """Many instances: their memory, and how long until they're answered after a kill -9."""
    total, state, missed = options.instances, Path(directory) / "instances", []
    cpus = f"{options.server_cpus},{options.load_cpus}"
    start = lambda: namebeat(options, state, "--max-instances", str(total), cpus=cpus)
    server = start()
    empty = server.resident()
    server.register([{"id": f"i{n}", "name": f"s{n // 5}", "host": host(n), "port": 1 + n % 60000, "version": "1.4.2",
                      "tags": {"env": "prod", "color": "blue"}, "metadata": {"owner": "team-a"}, "lease": "24h"}
                     for n in range(total)])
    each = (server.resident() - empty) / total
    print(f"{total} instances, 5 a service, two tags and metadata: {each:.0f} octets each; at most {INSTANCE_OCTETS}")
    missed += ["octets an instance"] * (each > INSTANCE_OCTETS)
    server.stop(signal.SIGKILL)
    found = []
    for _ in range(options.rounds):
        began = time.monotonic()
        server = start()
        while server.call("GET", "/readyz")[0] != 200:
            time.sleep(0.01)
        found.append(time.monotonic() - began)
        server.stop(signal.SIGKILL)
    shown = " ".join(f"{one:.2f}" for one in found)
    octets = sum(file.stat().st_size for file in state.iterdir())
    print(f"ready after a kill -9, {octets >> 20} MiB on disk: {shown} s, median {median(found):.2f}; at most {RESTART_SECONDS}")
    missed += ["restart"] * (median(found) > RESTART_SECONDS)
    return missed


def watchers(options, directory):
    """Many that watch one service: memory of each, and the CPU of a change for each."""
    server = namebeat(options, Path(directory) / "watchers", "--http-connections", str(options.watchers + 100))
    server.register([{"id": f"{name}-{n}", "name": name, "host": host(n), "port": 80, "lease": "24h"}
                     for name in ("web", "other") for n in range(5)])
    put = lambda name, port: server.call("PUT", f"/v1/instances/{name}-0", json.dumps(
        {"name": name, "host": host(0), "port": port, "lease": "24h"}))
    put("web", 81)
    empty = server.resident()
    with selectors.DefaultSelector() as selector:
        for _ in range(options.watchers):
            one = socket.create_connection(("127.0.0.1", server.port))
            one.sendall(b"GET /v1/watch?service=web HTTP/1.1\r\nHost: bench\r\n\r\n")
            selector.register(one, selectors.EVENT_READ)
        all_told(selector)
        each = (server.resident() - empty) / options.watchers
        costs, times = {}, []
        for name in ("other", "web"):
            before = server.cpu()
            for port in range(100, 100 + TOLD):
                began = time.monotonic()
                put(name, port)
                if name == "web":
                    all_told(selector)
                    times.append(time.monotonic() - began)
            costs[name] = (server.cpu() - before) / TOLD * 1e6
        for key in list(selector.get_map().values()):
            key.fileobj.close()
    server.stop()
    told = (costs["web"] - costs["other"]) / options.watchers
    print(f"{options.watchers} watchers of one service: {each:.0f} octets each, beside the kernel's")
    print(f"CPU of a change: {costs['web']:.0f} us, {told:.2f} for each that is told; {costs['other']:.0f} of another service")
    print(f"from a change until all {options.watchers} have read it: median {median(times) * 1e3:.0f} ms, longest {max(times) * 1e3:.0f}")
    return []


def all_told(selector):
    """Reads until every connection has got the end of an event."""
    waiting = {key.fd for key in selector.get_map().values()}
    deadline = time.monotonic() + 60
    while waiting:
        for key, _ in selector.select(1):
            octets = key.fileobj.recv(1 << 16)
            if not octets:
                raise ConnectionError("namebeat closed a watch")
            # An event ends in an empty line, and a chunk of HTTP after it.
            if octets.endswith(b"\n\n\r\n"):
                waiting.discard(key.fd)
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(waiting)} watchers weren't told")


def expiry(options, directory):
    """Many leases that end at once, while queries go on."""
    total, term = options.expiring, 15
    server = namebeat(options, Path(directory) / "expiry", "--guard-hold", "0s", "--max-instances", str(2 * total))
    server.register([{"id": f"kept-{n}", "name": f"kept{n // 5}", "host": host(n), "port": 80, "lease": "24h"}
                     for n in range(500)])
    server.register([{"id": f"i{n}", "name": f"s{n // 5}", "host": host(n), "port": 80, "lease": f"{term}s"}
                     for n in range(total)])
    for first in range(0, total, 5000):
        ids = [f"i{n}" for n in range(first, min(first + 5000, total))]
        server.call("POST", "/v1/heartbeats", json.dumps(ids))
    renewed = time.monotonic()
    queries = Path(directory) / "expiry.queries"
    names = [f"kept{n % 100}.svc.internal A\ns{n * 7 % (total // 5)}.svc.internal SRV" for n in range(total // 5)]
    queries.write_text("\n".join(names) + "\n")
    load = dns_load(server, queries, term + 5, EXPIRY_RATE, options)
    left = lambda: json.loads(server.call("GET", "/v1/stats")[1])["instances"]
    while time.monotonic() < renewed + term - 3:
        time.sleep(0.1)
    before = left()
    while left() > 500:
        time.sleep(0.02)
    gone = time.monotonic() - renewed - term
    lost, slowest = answered(load.communicate()[0])
    server.stop()
    print(f"{before - 500} leases of {total} ended at once, all gone {gone:.2f} s after the last one's end")
    print(f"{EXPIRY_RATE} queries a second meanwhile: {lost} lost, slowest answer {slowest * 1e3:.1f} ms; at most 0 lost")
    return ["queries lost while leases end"] * (lost > 0 or before - 500 < total)


def wide(options, directory):
    """A large service of which instances change all the time, while it's asked for."""
    server = namebeat(options, Path(directory) / "wide")
    register = lambda n, port: {"name": "wide", "host": host(n), "port": port, "lease": "24h"}
    server.register([{"id": f"w{n}", **register(n, 80)} for n in range(WIDE_INSTANCES)])
    queries = Path(directory) / "wide.queries"
    queries.write_text("wide.svc.internal A\nwide.svc.internal SRV\nw17.wide.svc.internal A\n")
    with Changes(server.port, wide_requests(register), WIDE_CHANGES) as changes:
        load = dns_load(server, queries, options.seconds, WIDE_RATE, options)
        mark, before, began = changes.mark(), server.cpu(), time.monotonic()
        text = load.communicate()[0]
        rate, cpu = changes.rate_since(mark), (server.cpu() - before) / (time.monotonic() - began)
        if changes.refused.value:
            raise RuntimeError(f"{changes.refused.value} changes were refused")
    lost, slowest = answered(text)
    server.stop()
    print(f"a service of {WIDE_INSTANCES}: {rate:.0f} changes a second, beside {WIDE_RATE} queries, with {cpu * 100:.0f} % of a CPU")
    print(f"{lost} queries lost, slowest answer {slowest * 1e3:.1f} ms; at least {WIDE_CHANGES * 0.95:.0f} changes and 0 lost")
    return ["changes of a large service"] * (lost > 0 or rate < WIDE_CHANGES * 0.95)


def wide_requests(register):
    """PUTs of all instances, first away from and then back to their port."""
    for port in (81, 80):
        for n in range(WIDE_INSTANCES):
            body = json.dumps(register(n * 37 % WIDE_INSTANCES, port))
            yield (f"PUT /v1/instances/w{n * 37 % WIDE_INSTANCES} HTTP/1.1\r\nHost: bench\r\n"
                   f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


def dns_load(server, queries, seconds, rate, options):
    """dnsperf at a rate, under way."""
    command = ["taskset", "-c", options.load_cpus, "dnsperf", "-s", "127.0.0.1", "-p", str(server.dns_port), "-d", queries,
               "-l", str(seconds), "-Q", str(rate), "-q", "2000", "-t", "1", "-e"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def answered(text):
    """Queries that dnsperf says were lost, and the longest time to an answer in seconds."""
    sent, completed = (int(find(rf"Queries {what}:\s+(\d+)", text, "0")) for what in ("sent", "completed"))
    if not completed:
        raise RuntimeError(f"dnsperf got no answer: {text[-500:]}")
    return sent - completed, float(find(r"Average Latency.*max ([\d.]+)", text, "0"))
