"""What health checks cost: many instances probed over HTTP and TCP, some of which hang."""

import asyncio
import json
import multiprocessing
import os
import socket
import time
from pathlib import Path

from api_load import namebeat

# Instances at each address, seconds between an instance's probes, and until one times out.
AT_ADDRESS = 100
INTERVAL = 10
TIMEOUT = 2
# One target in so many takes connections and never answers.
HANGING = 20
# Least share of the probes of those that answer that are made, and most CPU.
LEAST_MADE = 0.95
MOST_CPUS = 2.0

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Targets:
    """HTTP servers on many addresses of loopback, in a process of their own, that count."""

    def __init__(self, count, cpus):
        self.sockets = []
        port = 0
        for number in range(count):
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((address(number), port))
            # Those that hang are a queue that nobody takes from.
            one.listen(1024)
            self.sockets.append(one)
            port = port or one.getsockname()[1]
        self.port = port
        self.probes = multiprocessing.Value("q", 0)
        self.process = multiprocessing.Process(target=self.serve, args=(cpus,), daemon=True)
        self.process.start()

    def serve(self, cpus):
        os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
        asyncio.run(self.answer())

    async def answer(self):
        async def one(reader, writer):
            try:
                # A TCP probe says nothing and closes.
                if await reader.read(4096):
                    writer.write(ANSWER)
                self.probes.value += 1
            except ConnectionError:
                pass
            finally:
                writer.close()
        for number, listener in enumerate(self.sockets):
            if number % HANGING:
                await asyncio.start_server(one, sock=listener, backlog=1024)
        await asyncio.Event().wait()

    def close(self):
        self.process.terminate()
        self.process.join()
        for one in self.sockets:
            one.close()


def address(number):
    return f"127.{1 + (number >> 8)}.{number & 255}.1"


def checks(options, directory):
    """Many checks: their CPU, and whether those that hang delay the others."""
    missed, total = [], options.checks
    for kind in ("http", "tcp"):
        server = namebeat(options, Path(directory) / f"checks-{kind}", "--http-connections", "1000", cpus=f"{options.server_cpus},{options.load_cpus}")
        targets = Targets(total // AT_ADDRESS, options.load_cpus)
        idle = server.cpu()
        time.sleep(5)
        idle = (server.cpu() - idle) / 5
        check = {"kind": kind, "interval": f"{INTERVAL}s", "timeout": f"{TIMEOUT}s", "initial": "passing"}
        server.register([{"id": f"i{n}", "name": f"s{n // 5}", "host": address(n // AT_ADDRESS), "port": targets.port,
                          "lease": None, "health_check": check} for n in range(total)])
        # The first round is over, and those that hang are withdrawn.
        time.sleep(2.5 * INTERVAL)
        probes, cpu, began = targets.probes.value, server.cpu(), time.monotonic()
        time.sleep(options.check_seconds)
        took = time.monotonic() - began
        rate, cpus = (targets.probes.value - probes) / took, (server.cpu() - cpu) / took - idle
        stats = json.loads(server.call("GET", "/v1/stats")[1])
        server.stop()
        targets.close()
        hanging = sum(AT_ADDRESS for number in range(total // AT_ADDRESS) if number % HANGING == 0)
        # TCP connects to a queue that nobody takes from, too.
        due = (total - hanging) / INTERVAL
        print(f"{total} {kind} checks each {INTERVAL} s, {hanging} at targets that hang: {rate:.0f} probes a second of the "
              f"others, {rate / due:.2f} of those due; {cpus * 100:.0f} % of a CPU, {cpus / (total / INTERVAL) * 1e6:.0f} us each")
        print(f"healthy {stats.get('healthy')}, unhealthy {stats.get('unhealthy')}; "
              f"at least {LEAST_MADE} of those due, and less than {MOST_CPUS:.0f} CPUs")
        missed += [f"{kind} checks"] * (rate < LEAST_MADE * due or cpus > MOST_CPUS)
    return missed
