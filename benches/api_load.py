"""Servers with an API, and what is done to them: requests by wrk, and calls one by one."""

import http.client
import json
import os
import re
import signal
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

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
        ports = dict(re.findall(r"(dns|http)=[\d.]+:(\d+)", line))
        if "http" not in ports:
            raise RuntimeError(f"{name} said {line!r}")
        self.port = int(ports["http"])
        self.dns_port = int(ports.get("dns", 0))

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, text

    def register(self, instances, batch=2000):
        """Registers many, and fails when one is refused."""
        for first in range(0, len(instances), batch):
            status, text = self.call("POST", "/v1/instances", json.dumps(instances[first : first + batch]))
            if status != 200:
                raise RuntimeError(f"{status} {text[:300]}")

    def resident(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024

    def cpu(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        self.process.wait()


def namebeat(options, state, *flags, cpus=None):
    """A namebeat with one thread that answers DNS, and its state in a directory."""
    return Server("namebeat", [options.namebeat, "serve", "--dns", "127.0.0.1:0", "--http", "127.0.0.1:0",
                               "--workers", "1", "--data-dir", str(state), *flags], cpus or options.server_cpus)


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
