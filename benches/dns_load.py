"""What is done to a server: queries by dnsperf, registry changes, and a metrics collector."""

import http.server
import multiprocessing
import os
import re
import selectors
import signal
import socket
import subprocess
import threading
import time

from dns_data import addresses, registration
from dns_servers import cpu_list

# dnsperf's clients and queries under way: enough that no server waits for it.
CLIENTS = 16
OUTSTANDING = 500

# At a given rate dnsperf mustn't wait for a server either: what that can't take is lost.
# With many more it sends bursts that no socket's buffer holds, its own included.
OUTSTANDING_AT_RATE = 2000


def dnsperf(server, queries, seconds, load_cpus, mode="udp", rate=None, extra=()):
    """Asks for `seconds`; what came of it, with CPU microseconds a query."""
    command = [
        "taskset", "-c", load_cpus, "dnsperf", "-s", "127.0.0.1", "-p", str(server.port), "-d", queries,
        "-l", str(seconds), "-c", str(CLIENTS), "-T", str(len(cpu_list(load_cpus))),
        "-q", str(OUTSTANDING_AT_RATE if rate else OUTSTANDING), "-m", mode, "-t", "1", *extra,
    ]
    if rate:
        command += ["-Q", str(int(rate))]
    whole, answering = server.cpu()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    whole_after, answering_after = server.cpu()
    text = done.stdout
    completed = int(find(r"Queries completed:\s+(\d+)", text, "0"))
    if not completed:
        raise RuntimeError(f"dnsperf got no answer from {server.name}: {(done.stderr or text)[-500:]}")
    sent = int(find(r"Queries sent:\s+(\d+)", text, "0"))
    micros = [(b - a) / completed * 1e6 for a, b in zip(whole, whole_after)]
    of_dns = [(b - a) / completed * 1e6 for a, b in zip(answering, answering_after)]
    return {
        "qps": float(find(r"Queries per second:\s+([\d.]+)", text, "0")),
        "size": int(find(r"Average packet size:.*response (\d+)", text, "0")),
        "cpu": sum(micros),
        "user": micros[0],
        "system": micros[1],
        "dns_cpu": sum(of_dns),
        "sent": sent,
        "lost": sent - completed,
        "latency": float(find(r"Average Latency \(s\):\s+([\d.]+)", text, "0")) * 1e6,
        "rcodes": find(r"Response codes:\s+(.*)", text, ""),
        "memory": server.memory_kib() / 1024,
    }


def find(pattern, text, default):
    found = re.search(pattern, text)
    return found.group(1) if found else default


class Changes:
    """Registry changes from a process of their own, while the `with` block runs.

    A change is a PUT that replaces a registration with one at another address
    and port. Each connection has several under way (HTTP pipelining), and no
    request is made while it runs, so that it costs the load's CPU little.
    """

    CONNECTIONS = 32
    # Requests under way on a connection.
    DEPTH = 16

    def __init__(self, port, requests, rate):
        self.port, self.rate = port, rate
        self.requests = list(requests)
        context = multiprocessing.get_context("fork")
        self.answered = context.Value("q", 0, lock=False)
        self.refused = context.Value("q", 0, lock=False)
        self.process = context.Process(target=self.run, daemon=True)

    def __enter__(self):
        self.process.start()
        time.sleep(0.5)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.join()

    def mark(self):
        """Time and changes so far, to give to `rate_since`."""
        return time.monotonic(), self.answered.value

    def rate_since(self, mark):
        """Changes a second since then."""
        if not self.process.is_alive():
            raise RuntimeError("the process that makes the changes has ended")
        return (self.answered.value - mark[1]) / (time.monotonic() - mark[0])

    def run(self):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        selector = selectors.DefaultSelector()
        lanes = [Lane(self.port) for _ in range(self.CONNECTIONS)]
        for lane in lanes:
            selector.register(lane.socket, selectors.EVENT_READ, lane)
        started, made = time.monotonic(), 0
        while True:
            due = int((time.monotonic() - started) * self.rate) - made
            for lane in sorted(lanes, key=lambda lane: lane.waiting):
                count = min(due, self.DEPTH - lane.waiting, max(1, self.rate // 1000))
                if count <= 0:
                    continue
                at = made % len(self.requests)
                batch = self.requests[at : at + count]
                lane.send(batch)
                made += len(batch)
                due -= len(batch)
            if due > self.rate:
                # What the server can't keep up with isn't owed.
                started, made = time.monotonic(), 0
            for key, _ in selector.select(0.002):
                done, refused = key.data.receive()
                self.answered.value += done
                self.refused.value += refused


class Lane:
    """One connection to the API."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.waiting = 0
        self.rest = b""

    def send(self, requests):
        self.socket.sendall(b"".join(requests))
        self.waiting += len(requests)

    def receive(self):
        """Counts status lines: of changes made, and of others."""
        octets = self.socket.recv(1 << 16)
        if not octets:
            raise ConnectionError("namebeat closed a connection of the changes")
        octets = self.rest + octets
        marker = b"HTTP/1.1 20"
        found, made = octets.count(b"HTTP/1.1 "), octets.count(marker)
        # A status line may come in two parts.
        cut = octets.rfind(b"H", len(octets) - len(marker) + 1)
        self.rest = octets[cut:] if cut >= 0 and marker.startswith(octets[cut:]) else b""
        if self.rest.startswith(b"HTTP/1.1 "):
            found -= 1
        self.waiting -= found
        return made, found - made


def change_requests(data):
    """PUT of every instance, first away from and then back to where it was, services in turn."""
    services = list(data.each())
    for away in (True, False):
        for i in range(data.instances):
            for name, first, ids in services:
                number = first + i + (data.total if away else 0)
                port = 9000 + i if away else None
                body = registration(ids[i], name, i, addresses(number), port)
                head = f"PUT /v1/instances/{ids[i]} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
                yield head.encode() + body


class Collector:
    """Takes whatever is exported over OTLP/HTTP, answers 200 and counts it."""

    def __init__(self, load_cpus):
        self.exports = 0
        collector = self

        class Sink(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                collector.exports += 1
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

        def serve():
            os.sched_setaffinity(0, cpu_list(load_cpus))
            self.server.serve_forever()

        threading.Thread(target=serve, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
