"""Zone data and queries: the same records for every server.

A data set is a directory with `zone.db` (RFC 1035 master file), dnsperf inputs,
and what namebeat is told over HTTP to answer with the same records.
"""

import json
import os
import random

ZONE = "svc.test"

# Largest body of one call; namebeat takes 1 MiB and 10 000 registrations.
BODY_OCTETS = 1_000_000
BODY_ITEMS = 10_000

QUERIES = 200_000
RANDOM_QUERIES = 500_000


def addresses(number):
    """The two addresses of the instance with this number."""
    return (
        f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        f"fd00::{number >> 16:x}:{number & 0xFFFF:x}",
    )


class Data:
    """`services` services of `instances` instances each, in a directory."""

    def __init__(self, directory, services, instances):
        self.directory = directory
        self.services = services
        self.instances = instances
        self.total = services * instances
        self.zone_file = os.path.join(directory, "zone.db")

    def write(self):
        os.makedirs(self.directory, exist_ok=True)
        self.write_zone()
        self.queries = self.write_queries("queries", QUERIES, self.mixed)
        return self

    def each(self):
        """Service name, first number and ids of each service."""
        for service in range(self.services):
            name = f"s{service}"
            ids = [f"{name}-{i}" for i in range(self.instances)]
            yield name, 1 + service * self.instances, ids

    def write_zone(self):
        """What namebeat answers for S, _http._tcp.S and I.S."""
        with open(self.zone_file, "w", buffering=1 << 20) as out:
            out.write(
                f"$ORIGIN {ZONE}.\n$TTL 5\n"
                f"@ 3600 SOA ns.{ZONE}. hostmaster.{ZONE}. 1 3600 600 86400 2\n"
                f"@ 3600 NS ns.{ZONE}.\nns A 127.0.0.1\n"
            )
            for name, first, ids in self.each():
                at_service, at_http, at_instances = [], [], []
                for i, own in enumerate(ids):
                    v4, v6 = addresses(first + i)
                    srv = f"SRV 10 256 {8000 + i} {own}.{name}"
                    txt = f'TXT "id={own}" "version=1.0.{i}" "protocol=http" "env=production"'
                    at_service.append(f"{name} A {v4}\n{name} AAAA {v6}\n{name} {srv}\n{name} {txt}\n")
                    at_http.append(f"_http._tcp.{name} {srv}\n")
                    full = f"{own}.{name}"
                    at_instances.append(f"{full} A {v4}\n{full} AAAA {v6}\n{full} {srv}\n{full} {txt}\n")
                out.write("".join(at_service + at_http + at_instances))

    def bodies(self):
        """Bodies of POST /v1/instances, as octets."""
        items, octets = [], 2
        for name, first, ids in self.each():
            for i, own in enumerate(ids):
                item = registration(own, name, i, addresses(first + i))
                if items and (octets + len(item) + 1 > BODY_OCTETS or len(items) == BODY_ITEMS):
                    yield b"[" + b",".join(items) + b"]"
                    items, octets = [], 2
                items.append(item)
                octets += len(item) + 1
        if items:
            yield b"[" + b",".join(items) + b"]"

    def write_queries(self, name, count, line):
        path = os.path.join(self.directory, name)
        draw = random.Random(7)
        with open(path, "w", buffering=1 << 20) as out:
            out.writelines(line(draw) for _ in range(count))
        return path

    def mixed(self, draw):
        """50 % A, 30 % SRV, 10 % TXT, 5 % AAAA, 5 % names that don't exist."""
        service, kind = draw.randrange(self.services), draw.random()
        if kind < 0.50:
            return f"s{service}.{ZONE} A\n"
        if kind < 0.80:
            return f"_http._tcp.s{service}.{ZONE} SRV\n"
        if kind < 0.90:
            return f"s{service}.{ZONE} TXT\n"
        if kind < 0.95:
            return f"s{service}.{ZONE} AAAA\n"
        return f"nope{service}.{ZONE} A\n"

    def write_random(self):
        """Names that don't exist and don't come twice, half of them below a service."""

        def line(draw):
            label = f"x{draw.getrandbits(64):x}"
            if draw.random() < 0.5:
                return f"{label}.{ZONE} A\n"
            return f"{label}.s{draw.randrange(self.services)}.{ZONE} A\n"

        return self.write_queries("random", RANDOM_QUERIES, line)


def registration(own, name, i, both, port=None):
    """JSON of one registration."""
    return json.dumps(
        {
            "id": own,
            "name": name,
            "version": f"1.0.{i}",
            "addresses": both,
            "port": port or 8000 + i,
            "tags": {"env": "production"},
            "lease": "24h",
        },
        separators=(",", ":"),
    ).encode()
