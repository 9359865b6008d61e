//! The authority: from a query's octets to a response's.
//!
//! ```text
//! transport ─▶ answer ─▶ query ─▶ guard ─▶ cache ─▶ body ─▶ transport
//!                                           │ miss     ▲
//!                                           ▼          │
//!                                        resolve ─▶ compose
//!                                           ├▶ discovery (owner, records, subset, browse, settings) ◀─ registry
//!                                           ├▶ reverse ◀─ registry
//!                                           └▶ zones (zone, master)
//! ```
//!
//! [`answer`] is the one function behind every transport; nothing about an answer
//! is decided outside of it. It looks into the worker's `cache` first; what isn't
//! there is resolved to an `outcome`, step by step through aliases, and composed.
//! Either way a `body` is written behind the query's own header and question, so
//! an answer that was kept can't differ from one that is made. [`basis`] knows
//! for how long it may be kept. [`guard`] puts [`access`], [`limit`](crate::limit) and
//! [`cookie`] together.
//!
//! [`udp`] has a socket and a thread per worker and goes through [`mmsg`];
//! [`stream`] carries TCP. [`service`] is what they share beside the answer:
//! workers with their counters and spans. [`hickory`] hands the same answers to
//! hickory-server, which is to carry QUIC and HTTP/3. Its own UDP and TCP aren't
//! used: it encodes every response a second time, and longer; it starts a task for
//! each packet without a bound; and its TCP has no cap on connections.
//!
//! [`explain`] reads off an answer why it is as it is.
//!
//! hickory-proto's types are used in the adapter alone. Names, messages and
//! rdata are our own everywhere else, because they are kept ready for the wire.
//!
//! Outside of the transports nothing does disk or network I/O, and nothing waits.
//!
//! | RFC | what | done |
//! | --- | --- | --- |
//! | 1034, 1035 | lookup, messages, master files | yes |
//! | 2181 | one TTL an RRset, no duplicate records, TC only for what was asked | yes |
//! | 2308 | negative answers with SOA and its TTL | yes |
//! | 2782 | SRV; addresses of targets in additional | yes |
//! | 3225 | DO, as it was | yes |
//! | 3596 | AAAA, ip6.arpa | yes |
//! | 3597 | unknown types | yes |
//! | 4035 | DS of a cut, from the zone above it | and no more of DNSSEC |
//! | 4343 | letter case: kept as asked, ignored when looked up | yes |
//! | 4592 | wildcards, empty non-terminals | yes, in static zones |
//! | 5001 | NSID, to those who ask | yes |
//! | 6672 | DNAME | yes |
//! | 6763 | TXT as key=value, browsing | yes |
//! | 6891 | EDNS, BADVERS, payload size | yes |
//! | 7766, 9210 | TCP: pipelining, idle timeout, half-close | yes |
//! | 7873, 9018 | cookies, BADCOOKIE where they're required | yes |
//! | 8020 | NXDOMAIN means nothing below | yes |
//! | 8482 | ANY answered with HINFO, or with the alias | yes |
//! | 8906 | an answer to whatever is asked | yes |
//! | 8914 | extended errors | yes |
//! | 9267 | what parsers get wrong | yes |
//! | 9460 | SVCB, HTTPS: addresses of targets in additional | yes, in static zones |
//! | 9471 | glue of referrals sets TC | yes |
//! | 9619 | exactly one question | yes |
//! | 1995, 1996, 2136, 5936 | IXFR, NOTIFY, UPDATE, AXFR | refused |
//!
//! Each has tests named by it and its sections, in `tests/it/`.

pub mod access;
pub mod answer;
pub mod basis;
mod body;
mod browse;
mod cache;
mod compose;
pub mod cookie;
pub mod discovery;
pub mod explain;
pub mod guard;
pub mod hickory;
mod host;
pub mod identity;
pub mod master;
pub mod message;
mod mmsg;
mod outcome;
pub mod owner;
mod pointers;
mod query;
mod records;
mod resolve;
pub mod reverse;
pub mod rr;
mod schema;
pub mod service;
mod settings;
mod step;
pub mod store;
pub mod stream;
mod subject;
mod subset;
mod target;
pub mod text;
pub mod ttl;
pub mod udp;
pub mod zone;
pub mod zones;
