#!/usr/bin/env python3
"""Benchmark of DNS answers: namebeat beside other authoritative servers.

Every server has the same records, answers the same queries, runs on the same
CPUs, and is asked in turns by dnsperf on other CPUs. What counts is a ratio in
one run: it's taken round by round, and the median is given. README.md in this
directory says what the columns mean.
"""

import argparse
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

# No __pycache__ in the repository.
sys.dont_write_bytecode = True

from dns_data import Data
from dns_load import Changes, Collector, change_requests, dnsperf
from dns_servers import OTHERS, Namebeat, NotStarted, Server, cpu_list, version

ROOT = Path(__file__).resolve().parent.parent
BUILD = "cargo build --release --locked"

# Most CPU a UDP query, relative to each other server.
CPU_BUDGETS = {"knot": 0.80, "nsd": 0.85, "gdnsd": 1.0}
# Least TCP queries/s relative to Knot.
TCP_BUDGET = 1.0
# Most CPU of a name that doesn't exist, relative to the mix.
RANDOM_BUDGET = 1.3
# Most MiB that a flood of them may cost: less than the noise of an allocator and of page counts.
RANDOM_MIB = 1.0
# Most CPU of the threads that answer while the registry changes, relative to quiet.
CHANGES_BUDGET = 1.2
CHANGES_RATE = 10_000

# Services and instances of each.
SIZES = {
    "hit": (1000, 5),
    "instances-1k": (200, 5),
    "instances-100k": (20_000, 5),
    "instances-1m": (200_000, 5),
    "per-service-1": (5000, 1),
    "per-service-50": (200, 50),
    "per-service-1000": (10, 1000),
    "changes": (1000, 5),
    "random": (1000, 5),
    "tcp": (1000, 5),
    "metrics": (1000, 5),
}

# Their answers don't fit 512 octets: asked with EDNS, too.
TRUNCATED = ("per-service-50", "per-service-1000")

# OpenTelemetry's default is 60 s, which a short round would hardly see.
EXPORT_INTERVAL_MS = 5000

# Every response is counted against its client's limit, and none is held back.
LIMITING = ("--rate-limit", "1000000", "--rate-limit-loopback")

# 512 networks, among which that of the load is looked for.
ACCESS_RULES = ("--deny-query", ",".join(f"{first}.{second}.0.0/16" for first in (10, 126) for second in range(256)))

COLUMNS = (
    f"{'':24} {'queries/s':>10} {'size':>6} {'CPU us':>7} {'user':>6} {'system':>6}"
    f" {'lost':>7} {'latency':>8} {'memory':>7}"
)


class Bench:
    """One run: its settings, what it starts, and what came of it."""

    def __init__(self, options):
        self.options = options
        self.running = []
        self.results = {}
        self.budgets = []
        self.collector = None
        self.work = tempfile.mkdtemp(prefix="dns-bench-", dir=options.work_dir)

    # What scenarios are made of.

    def data(self, scenario):
        services, instances = SIZES[scenario]
        print(f"\n== {scenario}: {services} services of {instances}", flush=True)
        return Data(os.path.join(self.work, scenario), services, instances).write()

    def everything_on(self):
        """Flags and environment with which metrics are exported and clients limited."""
        if self.collector is None:
            self.collector = Collector(self.options.load_cpus)
        return {"flags": LIMITING, "env": otlp(self.collector)}

    def namebeat(self, data, label="namebeat", flags=(), env=None):
        flags = [*shlex.split(self.options.namebeat_args), *flags]
        server = Namebeat(self.options.namebeat, self.options.server_cpus, label, flags, env)
        self.running.append(server)
        return server.start(data, self.options.load_timeout)

    def others(self, data, only=None):
        """Those that are installed and can be started, each with the time that took."""
        servers = []
        for name, (program, install, *_) in OTHERS.items():
            if name not in (only or self.options.server):
                continue
            if not shutil.which(program):
                print(f"{name}: left out, {program} isn't installed ({install})")
                continue
            server = Server(name, self.options.server_cpus)
            self.running.append(server)
            try:
                servers.append(server.start_other(data.zone_file, self.options.load_timeout))
            except NotStarted as reason:
                print(f"{name}: left out, {reason}")
                self.stop(server)
        return servers

    def stop(self, *servers):
        for server in servers:
            server.stop()
            self.running.remove(server)

    def stop_all(self):
        for server in list(self.running):
            try:
                self.stop(server)
            except OSError as error:
                print(f"{server.name}: {error}", file=sys.stderr)
        if self.collector:
            self.collector.stop()
        shutil.rmtree(self.work, ignore_errors=True)

    def ask(self, server, queries, **more):
        return dnsperf(server, queries, self.options.seconds, self.options.load_cpus, **more)

    def in_turns(self, lanes):
        """Rounds over `lanes`, name to (server, queries, options of dnsperf), and their figures."""
        rounds = {name: [] for name in lanes}
        for server, queries, more in lanes.values():
            dnsperf(server, queries, 1, self.options.load_cpus, **more)
        names = list(lanes)
        for number in range(self.options.rounds):
            # Each goes first in turn, should a neighbour's heat or a timer matter.
            shift = number % len(names)
            for name in names[shift:] + names[:shift]:
                server, queries, more = lanes[name]
                rounds[name].append(self.ask(server, queries, **more))
        return rounds

    def table(self, scenario, rounds):
        print(COLUMNS)
        for name, figures in rounds.items():
            print(row(name, figures), flush=True)
        self.results.setdefault(scenario, {}).setdefault("rounds", {}).update(rounds)

    def ratio(self, scenario, text, above, below, key):
        """Prints and keeps a ratio of each round; its median."""
        each = [a[key] / b[key] if b[key] else 0.0 for a, b in zip(above, below)]
        middle = median(each)
        print(f"ratio: {text}: {' '.join(f'{value:.2f}' for value in each)}, median {middle:.2f}")
        self.results[scenario].setdefault("ratios", {})[text] = each
        return middle

    def budget(self, scenario, text, limit, measured, least=False):
        met = measured >= limit if least else measured <= limit
        bound = f"{limit:.2f}" + (" at least" if least else "")
        print(f"budget: {text} {bound}, measured {measured:.2f} {'ok' if met else 'MISSED'}", flush=True)
        kept = {"scenario": scenario, "budget": text, "limit": limit, "measured": measured, "met": met}
        self.budgets.append(kept)

    def beside_others(self, scenario, rounds, label="namebeat", budgets=True):
        for name in [name for name in rounds if name.split()[0] in OTHERS]:
            kind = name.split()[0]
            text = f"CPU a query, {label} / {name}"
            middle = self.ratio(scenario, text, rounds[label], rounds[name], "cpu")
            self.ratio(scenario, f"user part, {label} / {name}", rounds[label], rounds[name], "user")
            if budgets and kind in CPU_BUDGETS:
                self.budget(scenario, name, CPU_BUDGETS[kind], middle)

    # Scenarios.

    def compare(self, scenario):
        """UDP at saturation, namebeat and the others in turns."""
        data = self.data(scenario)
        servers = [self.namebeat(data, **self.everything_on()), *self.others(data)]
        for server in servers:
            print(f"{server.name}: answers after {server.load_seconds:.1f} s")
        lanes = {server.name: (server, data.queries, {}) for server in servers}
        if scenario in TRUNCATED:
            for server in servers:
                lanes[f"{server.name} EDNS"] = (server, data.queries, {"extra": ["-e"]})
        rounds = self.in_turns(lanes)
        self.table(scenario, rounds)
        budgets = not scenario.startswith("per-service")
        plain = {name: figures for name, figures in rounds.items() if not name.endswith(" EDNS")}
        self.beside_others(scenario, plain, budgets=budgets)
        edns = {name: figures for name, figures in rounds.items() if name.endswith(" EDNS")}
        if edns:
            self.beside_others(scenario, edns, "namebeat EDNS", budgets)
        if scenario.startswith("instances"):
            # With few instances this would be the program itself.
            grown = servers[0].registered_kib
            print(f"memory: namebeat grew by {grown:.2f} KiB an instance while {data.total} registered")
            self.results[scenario]["kib_per_instance"] = grown
        self.check_exports()
        self.stop(*servers)

    def check_exports(self):
        print(f"the collector took {self.collector.exports} exports")
        if not self.collector.exports:
            raise RuntimeError("nothing was exported, so the figures mean nothing")

    def tcp(self, scenario):
        data = self.data(scenario)
        servers = [self.namebeat(data, **self.everything_on()), *self.others(data)]
        rounds = self.in_turns({s.name: (s, data.queries, {"mode": "tcp"}) for s in servers})
        self.table(scenario, rounds)
        for name in [server.name for server in servers[1:]]:
            middle = self.ratio(scenario, f"TCP queries/s, namebeat / {name}", rounds["namebeat"], rounds[name], "qps")
            if name == "knot":
                self.budget(scenario, "TCP queries/s, knot", TCP_BUDGET, middle, least=True)
        self.stop(*servers)

    def random(self, scenario):
        """Names that don't exist, no two the same, against the mix."""
        data = self.data(scenario)
        names = data.write_random()
        server = self.namebeat(data)
        lanes = {"hit": (server, data.queries, {})}
        dnsperf(server, data.queries, 1, self.options.load_cpus)
        before = server.memory_kib()
        lanes["random"] = (server, names, {})
        rounds = self.in_turns(lanes)
        grown = (server.memory_kib() - before) / 1024
        self.table(scenario, rounds)
        middle = self.ratio(scenario, "CPU a query, random / hit", rounds["random"], rounds["hit"], "cpu")
        asked = sum(figures["sent"] for figures in rounds["random"])
        print(f"memory: {before / 1024:.1f} MiB before, {grown:+.1f} MiB after {asked} random names")
        self.results[scenario]["grown_mib"] = grown
        self.budget(scenario, "random / hit", RANDOM_BUDGET, middle)
        self.budget(scenario, "MiB for random names", RANDOM_MIB, grown)
        self.stop(server)

    def changes(self, scenario):
        """The mix while the registry changes, at saturation and at 80 % of it."""
        data = self.data(scenario)
        server = self.namebeat(data)
        rounds = {"quiet": [], "changes": [], "changes, 80 %": [], "quiet, same rate": []}
        rates = []
        dnsperf(server, data.queries, 1, self.options.load_cpus)
        for _ in range(self.options.rounds):
            rounds["quiet"].append(self.ask(server, data.queries))
            with Changes(server.http, change_requests(data), self.options.changes) as changes:
                mark = changes.mark()
                rounds["changes"].append(self.ask(server, data.queries))
                rates.append(changes.rate_since(mark))
                rate = rounds["changes"][-1]["qps"] * 0.8
                mark = changes.mark()
                rounds["changes, 80 %"].append(self.ask(server, data.queries, rate=rate))
                rates.append(changes.rate_since(mark))
                if changes.refused.value:
                    raise RuntimeError(f"{changes.refused.value} changes were refused")
            rounds["quiet, same rate"].append(self.ask(server, data.queries, rate=rate))
        self.table(scenario, rounds)
        for name, figures in rounds.items():
            print(f"threads that answer DNS, {name}: {median(f['dns_cpu'] for f in figures):.2f} CPU us a query")
        achieved = " ".join(f"{rate:.0f}" for rate in rates)
        print(f"changes/s, at saturation and at 80 % of it, each round: {achieved}; asked for {self.options.changes}")
        self.results[scenario]["changes_per_second"] = rates
        middle = self.ratio(
            scenario, "CPU of DNS threads a query, changes / quiet", rounds["changes"], rounds["quiet"], "dns_cpu")
        # A busier thread takes more queries at a time, and each costs less: these are equally busy.
        self.ratio(
            scenario,
            "CPU of DNS threads a query, changes / quiet, both at 80 %",
            rounds["changes, 80 %"],
            rounds["quiet, same rate"],
            "dns_cpu",
        )
        self.ratio(scenario, "CPU of the process a query, changes / quiet", rounds["changes"], rounds["quiet"], "cpu")
        self.budget(scenario, "changes / quiet, DNS threads", CHANGES_BUDGET, middle)
        self.budget(scenario, "lost at 80 %", 0, sum(f["lost"] for f in rounds["changes, 80 %"]))
        self.stop(server)

    def metrics(self, scenario):
        """What exporting, limiting, access rules and cookies cost, each against namebeat without."""
        data = self.data(scenario)
        everything = self.everything_on()
        everything["env"]["OTEL_METRIC_EXPORT_INTERVAL"] = "1000"
        all_signals = {key: value for key, value in everything["env"].items() if not key.endswith("_EXPORTER")}
        servers = {"off": self.namebeat(data, "off")}
        servers["metrics"] = self.namebeat(data, "metrics", env=everything["env"])
        servers["metrics, traces, logs"] = self.namebeat(data, "metrics, traces, logs", env=all_signals)
        servers["rate limit"] = self.namebeat(data, "rate limit", LIMITING)
        servers["access rules"] = self.namebeat(data, "access rules", ACCESS_RULES)
        lanes = {name: (server, data.queries, {}) for name, server in servers.items()}
        lanes["EDNS"] = (servers["off"], data.queries, {"extra": ["-e"]})
        lanes["EDNS and cookie"] = (servers["off"], data.queries, {"extra": ["-E", "10:0123456789abcdef"]})
        rounds = self.in_turns(lanes)
        self.table(scenario, rounds)
        for name in [name for name in rounds if name != "off"]:
            base = "EDNS" if name == "EDNS and cookie" else "off"
            self.ratio(scenario, f"CPU a query, {name} / {base}", rounds[name], rounds[base], "cpu")
        self.check_exports()
        self.stop(*servers.values())

    def run(self, scenario):
        special = {"tcp": self.tcp, "random": self.random, "changes": self.changes, "metrics": self.metrics}
        special.get(scenario, self.compare)(scenario)
        shutil.rmtree(os.path.join(self.work, scenario))


def otlp(collector):
    """The environment in which metrics go to a collector, and nothing else does."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_METRIC_EXPORT_INTERVAL": str(EXPORT_INTERVAL_MS),
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }


def row(name, figures):
    """A line of the table: medians over the rounds, and all that was lost."""
    mid = {key: median(f[key] for f in figures) for key in ("qps", "size", "cpu", "user", "system", "latency", "memory")}
    lost, sent = sum(f["lost"] for f in figures), sum(f["sent"] for f in figures)
    share = f"{lost / sent:.2%}" if lost else "0"
    return (
        f"{name:24} {mid['qps']:10.0f} {mid['size']:6.0f} {mid['cpu']:7.2f} {mid['user']:6.2f} {mid['system']:6.2f}"
        f" {share:>7} {mid['latency']:8.0f} {mid['memory']:7.1f}"
    )


def machine(options):
    """What this runs on and what it runs."""
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*:\s*(.*)", file.read())
    facts = {
        "cpu": model.group(1) if model else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "server_cpus": options.server_cpus,
        "load_cpus": options.load_cpus,
        "namebeat": version([options.namebeat, "--version"]),
        "dnsperf": version(["dnsperf", "-h"]),
    }
    for name in options.server:
        program, _, _, told = OTHERS[name]
        if shutil.which(program):
            facts[name] = version(told)
    return facts


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--scenario", action="append", choices=[*SIZES, "all"], help="repeatable [default: hit]")
    add("--server", action="append", choices=list(OTHERS), help="beside namebeat, repeatable [default: all installed]")
    add("--rounds", type=int, default=3)
    add("--seconds", type=int, default=5, help="of one server in one round")
    add("--namebeat", default=str(ROOT / "target/release/namebeat"), help="the program")
    add("--namebeat-args", default="", help="more flags of `namebeat serve`, in one word")
    add("--server-cpus", default="0", help="such as 0,2-3; each server has as many workers [default: 0]")
    add("--load-cpus", default="1", help="of dnsperf and of whatever else asks [default: 1]")
    add("--changes", type=int, default=CHANGES_RATE, help="registry changes a second to ask for")
    add("--load-timeout", type=float, default=300, help="seconds in which a server must answer from its zone")
    add("--work-dir", help="where zone files go; instances-1m needs 1 GB [default: the system's]")
    add("--json", metavar="FILE", help="write all figures there")
    add("--check", action="store_true", help="exit with 1 when a budget is missed")
    options = parser.parse_args()
    chosen = options.scenario or ["hit"]
    options.scenario = list(SIZES) if "all" in chosen else chosen
    options.server = options.server or list(OTHERS)
    options.namebeat = shutil.which(options.namebeat)
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds are at least 1")
    if not options.namebeat:
        parser.error(f"there is no namebeat to run; build it ({BUILD}) or say where it is (--namebeat)")
    for program, package in (("dnsperf", "dnsperf"), ("taskset", "util-linux")):
        if not shutil.which(program):
            parser.error(f"{program} isn't installed (apt install {package})")
    if set(cpu_list(options.server_cpus)) & set(cpu_list(options.load_cpus)):
        parser.error("--server-cpus and --load-cpus have a CPU in common")
    return options


def main():
    # Debian has servers where only root's PATH looks.
    os.environ["PATH"] += ":/usr/sbin:/usr/local/sbin"
    options = parse()
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: sys.exit("stopped"))
    # What this program does itself mustn't take time from a server.
    os.sched_setaffinity(0, cpu_list(options.load_cpus))
    facts = machine(options)
    print("\n".join(f"{key.replace('_', ' ')}: {value}" for key, value in facts.items()))
    bench = Bench(options)
    failed = []
    try:
        for scenario in options.scenario:
            try:
                bench.run(scenario)
            except (NotStarted, RuntimeError, OSError, subprocess.CalledProcessError) as error:
                print(f"{scenario}: not measured: {error}", flush=True)
                failed.append(scenario)
                for server in list(bench.running):
                    bench.stop(server)
    except KeyboardInterrupt:
        sys.exit("stopped")
    finally:
        bench.stop_all()
    print(
        "\nSizes are mean octets of a response. Servers differ in the glue and authority records that they add,"
        "\nso compare CPU beside size. CPU is microseconds a query, latency microseconds, memory MiB."
        "\nOnly ratios within one run mean anything on another machine."
    )
    if options.json:
        kept = {"machine": facts, "scenarios": bench.results, "budgets": bench.budgets, "not_measured": failed}
        Path(options.json).write_text(json.dumps(kept, indent=1) + "\n")
    missed = [f"{kept['scenario']}: {kept['budget']}" for kept in bench.budgets if not kept["met"]]
    if missed:
        print("missed: " + "; ".join(missed))
    if failed or (options.check and missed):
        sys.exit(1)


if __name__ == "__main__":
    main()
