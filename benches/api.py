#!/usr/bin/env python3
"""Benchmark of the API: registrations and heartbeats beside a bare axum handler, and a
restart with many instances.

Both servers run on the same CPUs and are asked in turns by wrk on another one. What
counts is a ratio in one run, taken round by round. README.md in this directory says
what the columns mean.
"""

import argparse
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent

# Least rate relative to the bare handler, and of batches relative to one by one.
BUDGETS = {"register": 0.5, "heartbeat": 0.85, "register-batch": 10, "heartbeat-batch": 30}
# Most seconds until a million instances are answered again, and octets for each of them.
RESTART_SECONDS = 3.0
INSTANCE_OCTETS = 1024

BATCH = 500
IDS = 20_000

LUA = {
    "register": """
local n = 0
function request()
  n = (n + 1) % IDS
  local body = '{"name":"s' .. (n // 5) .. '","version":"1.0.0","host":"10.0.' .. (n // 250) .. '.' .. (n % 250) ..
    '","port":8000,"tags":{"env":"production"},"lease":"1h"}'
  return wrk.format("PUT", "/v1/instances/i" .. n, nil, body)
end
""",
    "heartbeat": """
local n = 0
function request()
  n = (n + 1) % IDS
  return wrk.format("POST", "/v1/instances/i" .. n .. "/heartbeat", nil, "")
end
""",
    "register-batch": """
local n = 0
function request()
  local items = {}
  for i = 1, BATCH do
    n = n + 1
    items[i] = '{"id":"' .. ROUND .. n .. '","name":"s' .. (n // 5) .. '","version":"1.0.0","host":"10.' .. (n // 62500 % 250) .. '.' .. (n // 250 % 250) .. '.' ..
      (n % 250) .. '","port":8000,"tags":{"env":"production"},"lease":"1h"}'
  end
  return wrk.format("POST", "/v1/instances", nil, "[" .. table.concat(items, ",") .. "]")
end
""",
    "heartbeat-batch": """
local n = 0
function request()
  local items = {}
  for i = 1, BATCH do
    n = (n + 1) % IDS
    items[i] = '"i' .. n .. '"'
  end
  return wrk.format("POST", "/v1/heartbeats", nil, "[" .. table.concat(items, ",") .. "]")
end
""",
}
# Every response has to be a good one.
LUA_END = """
function response(status, headers, body)
  if status ~= 200 and status ~= 201 then bad = (bad or 0) + 1 end
end
function done(summary, latency, requests)
  io.write(string.format("answered %d in %d us, p99 %d us, errors %d\\n", summary.requests, summary.duration,
    latency:percentile(99), summary.errors.status + summary.errors.read + summary.errors.connect + summary.errors.timeout))
end
"""


class Server:
    """A server on free ports, pinned to its CPUs."""

    def __init__(self, name, command, cpus):
        self.name = name
        self.process = subprocess.Popen(["taskset", "-c", cpus, *command], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"http=([\d.]+):(\d+)", line)
        if not found:
            raise RuntimeError(f"{name} said {line!r}")
        self.port = int(found.group(2))

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, text

    def resident(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024

    def cpu(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        self.process.wait()


def wrk(server, what, options, directory, number):
    script = Path(directory) / f"{what}.lua"
    # LuaJIT has no integer division.
    text = re.sub(r"n // (\d+)", r"math.floor(n / \1)", LUA[what])
    script.write_text(f"local IDS, BATCH, ROUND = {IDS}, {BATCH}, 'r{number}-'\n{text}{LUA_END}")
    before = server.cpu()
    connections = 8 if what.endswith("batch") else 64
    done = subprocess.run(["taskset", "-c", options.load_cpus, "wrk", "-t1", f"-c{connections}", f"-d{options.seconds}s",
                           "-s", str(script), f"http://127.0.0.1:{server.port}"], capture_output=True, text=True)
    found = re.search(r"answered (\d+) in (\d+) us, p99 (\d+) us, errors (\d+)", done.stdout)
    if not found:
        raise RuntimeError(done.stdout + done.stderr)
    answered, micros, p99, errors = map(int, found.groups())
    if errors:
        raise RuntimeError(f"{errors} of {answered} responses of {server.name} to {what} are errors")
    each = BATCH if what.endswith("batch") else 1
    items = answered * each
    return {"rate": items / micros * 1e6, "cpu": (server.cpu() - before) / items * 1e6, "p99": p99 / 1000}


def bare_program():
    build = ["cargo", "build", "--release", "--locked", "--bench", "bare", "--message-format=json"]
    lines = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    found = [json.loads(line) for line in lines]
    return next(one["executable"] for one in found if one.get("target", {}).get("name") == "bare" and one.get("executable"))


def rates(options, directory):
    """Registrations and heartbeats, on disk and beside the bare handler."""
    state = Path(directory) / "rates"
    serve = [options.namebeat, "serve", "--dns", "127.0.0.1:0", "--http", "127.0.0.1:0", "--workers", "1",
             "--data-dir", str(state), "--max-instances", "100000000", "--max-services", "100000000"]
    servers = {"namebeat": Server("namebeat", serve, options.server_cpus),
               "bare axum": Server("bare axum", [bare_program()], options.server_cpus)}
    found, missed = {}, []
    try:
        for number in range(options.rounds):
            for what in LUA:
                for name, server in servers.items():
                    if name == "namebeat" or not what.endswith("batch"):
                        found.setdefault((what, name), []).append(wrk(server, what, options, directory, number))
    finally:
        for server in servers.values():
            server.stop()
    print(f"{'':28} {'a second':>10} {'CPU us':>8} {'p99 ms':>8}")
    for (what, name), rounds in found.items():
        middle = {key: median(one[key] for one in rounds) for key in rounds[0]}
        print(f"{what + ', ' + name:28} {middle['rate']:10.0f} {middle['cpu']:8.2f} {middle['p99']:8.1f}")
    for what, budget in BUDGETS.items():
        one = what.removesuffix("-batch")
        base = found[(one, "namebeat" if what.endswith("batch") else "bare axum")]
        ratios = [a["rate"] / b["rate"] for a, b in zip(found[(what, "namebeat")], base)]
        verdict = "ok" if median(ratios) >= budget else "MISSED"
        beside = "one by one" if what.endswith("batch") else "bare axum"
        shown = " ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"ratio: {what} to {beside}: {shown}, median {median(ratios):.2f}; at least {budget} {verdict}")
        missed += [what] * (verdict == "MISSED")
    return missed


def instances(options, directory):
    """Many instances: their memory, and how long until they're answered after a kill -9."""
    total, state, missed = options.instances, Path(directory) / "instances", []
    serve = [options.namebeat, "serve", "--dns", "127.0.0.1:0", "--http", "127.0.0.1:0", "--workers", "1",
             "--data-dir", str(state), "--max-instances", str(total)]
    cpus = f"{options.server_cpus},{options.load_cpus}"
    server = Server("namebeat", serve, cpus)
    empty = server.resident()
    for first in range(0, total, 2000):
        body = [{"id": f"i{n}", "name": f"s{n // 5}", "host": f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}",
                 "port": 1 + n % 60000, "version": "1.4.2", "tags": {"env": "prod", "color": "blue"},
                 "metadata": {"owner": "team-a"}, "lease": "24h"} for n in range(first, min(first + 2000, total))]
        status, text = server.call("POST", "/v1/instances", json.dumps(body))
        if status != 200:
            raise RuntimeError(f"{status} {text[:300]}")
    each = (server.resident() - empty) / total
    print(f"{total} instances, 5 a service, two tags and metadata: {each:.0f} octets each; at most {INSTANCE_OCTETS}")
    missed += ["octets an instance"] * (each > INSTANCE_OCTETS)
    server.stop(signal.SIGKILL)
    found = []
    for _ in range(options.rounds):
        began = time.monotonic()
        server = Server("namebeat", serve, cpus)
        while server.call("GET", "/readyz")[0] != 200:
            time.sleep(0.01)
        found.append(time.monotonic() - began)
        server.stop(signal.SIGKILL)
    shown = " ".join(f"{one:.2f}" for one in found)
    octets = sum(file.stat().st_size for file in state.iterdir())
    print(f"ready after a kill -9, {octets >> 20} MiB on disk: {shown} s, median {median(found):.2f}; at most {RESTART_SECONDS}")
    missed += ["restart"] * (median(found) > RESTART_SECONDS)
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", choices=["rates", "instances"], action="append", help="without it both")
    parser.add_argument("--namebeat", default=str(ROOT / "target/release/namebeat"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--instances", type=int, default=1_000_000)
    parser.add_argument("--server-cpus", default="0")
    parser.add_argument("--load-cpus", default="1")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a budget is missed")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk isn't installed: apt install wrk")
    missed = []
    with tempfile.TemporaryDirectory(prefix="namebeat-bench-") as directory:
        for what in options.scenario or ["rates", "instances"]:
            print(f"\n== {what}")
            missed += {"rates": rates, "instances": instances}[what](options, directory)
    print(f"\nmissed: {', '.join(missed) or 'nothing'}")
    sys.exit(bool(options.check and missed))


if __name__ == "__main__":
    main()
