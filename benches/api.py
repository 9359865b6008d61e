#!/usr/bin/env python3
"""Benchmark of the API: registrations and heartbeats beside a bare axum handler, a
restart with many instances, many watchers, many leases that end at once, and a large
service that changes, and many checks.

Both servers run on the same CPUs and are asked in turns by wrk on another one. What
counts is a ratio in one run, taken round by round. README.md in this directory says
what the columns mean.
"""

import argparse
import resource
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

from api_checks import checks
from api_load import LUA, ROOT, Server, bare_program, namebeat, wrk
from api_scale import expiry, instances, watchers, wide

# Least rate relative to the bare handler, and of batches relative to one by one.
BUDGETS = {"register": 0.5, "heartbeat": 0.85, "register-batch": 10, "heartbeat-batch": 30}


def rates(options, directory):
    """Registrations and heartbeats, on disk and beside the bare handler."""
    state = Path(directory) / "rates"
    many = ["--max-instances", "100000000", "--max-services", "100000000"]
    servers = {"namebeat": namebeat(options, state, *many),
               "bare axum": Server("bare axum", [bare_program()], options.server_cpus)}
    found, missed = {}, []
    try:
        for number in range(options.rounds):
            for what in LUA:
                for name, server in servers.items():
                    if name == "namebeat" or what != "heartbeat-batch":
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


SCENARIOS = {"rates": rates, "instances": instances, "watchers": watchers, "expiry": expiry, "wide": wide,
             "checks": checks}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", choices=SCENARIOS, action="append", help="without it all")
    parser.add_argument("--namebeat", default=str(ROOT / "target/release/namebeat"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--instances", type=int, default=1_000_000)
    parser.add_argument("--watchers", type=int, default=10_000)
    parser.add_argument("--expiring", type=int, default=100_000)
    parser.add_argument("--checks", type=int, default=20_000)
    parser.add_argument("--check-seconds", type=int, default=30)
    parser.add_argument("--server-cpus", default="0")
    parser.add_argument("--load-cpus", default="1")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a budget is missed")
    options = parser.parse_args()
    for program in ("wrk", "dnsperf"):
        if not shutil.which(program):
            sys.exit(f"{program} isn't installed: apt install {program}")
    # Watchers take a descriptor each, here and there.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    missed = []
    with tempfile.TemporaryDirectory(prefix="namebeat-bench-") as directory:
        for what in options.scenario or SCENARIOS:
            print(f"\n== {what}")
            missed += SCENARIOS[what](options, directory)
    print(f"\nmissed: {', '.join(missed) or 'nothing'}")
    sys.exit(bool(options.check and missed))


if __name__ == "__main__":
    main()
