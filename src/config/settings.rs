//! Every setting once: its key in the file, its variable, its flag and its help.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use super::ConfigError;
use crate::network::Network;
use crate::registry::check::networks::CheckNetwork;
use crate::time::TimeSpan;

/// The file that is read when it's there and none is named.
pub const DEFAULT_FILE: &str = "namebeat.toml";

/// Every setting, as far as it was given.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address and port for DNS over UDP and TCP; repeatable [default: 127.0.0.1:8053]
    #[arg(
        long,
        env = "NAMEBEAT_DNS",
        value_name = "ADDR:PORT",
        value_delimiter = ','
    )]
    pub dns: Option<Vec<SocketAddr>>,
    /// Address and port of the HTTP API [default: 127.0.0.1:8054]
    #[arg(long, env = "NAMEBEAT_HTTP", value_name = "ADDR:PORT")]
    pub http: Option<SocketAddr>,
    /// Most connections to the HTTP API at once; each takes a file descriptor [default: 16384]
    #[arg(long, env = "NAMEBEAT_HTTP_CONNECTIONS", value_name = "N")]
    pub http_connections: Option<usize>,
    /// Most changes a second, heartbeats included, that one address elsewhere (of IPv6 its /64) may ask for over HTTP; more are refused with 429, 0 refuses none [default: 0]
    #[arg(long, env = "NAMEBEAT_HTTP_RATE", value_name = "N")]
    pub http_rate: Option<u32>,
    /// The discovery zone, in which services are found [default: svc.internal.]
    #[arg(long, env = "NAMEBEAT_ZONE", value_name = "NAME")]
    pub zone: Option<String>,
    /// Directory of static zones, one file `*.zone` each [default: zones, when it's there]
    #[arg(long, env = "NAMEBEAT_ZONES", value_name = "DIR")]
    pub zones: Option<PathBuf>,
    /// Network whose registered addresses lead to names by PTR; repeatable
    #[arg(
        long,
        env = "NAMEBEAT_REVERSE_ZONES",
        value_name = "NET",
        value_delimiter = ','
    )]
    pub reverse_zones: Option<Vec<Network>>,
    /// Directory of the state [default: $XDG_STATE_HOME/namebeat, or ~/.local/state/namebeat]
    #[arg(long, env = "NAMEBEAT_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Seal the state with the keys in this file: 64 hexadecimal digits a line, the newest first
    #[arg(long, env = "NAMEBEAT_KEY_FILE", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Keep nothing on disk: a restart begins empty
    #[arg(long, env = "NAMEBEAT_EPHEMERAL", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub ephemeral: Option<bool>,
    /// How long leases are held that run out together with many others, 0s to hold none [default: 30s]
    #[arg(long, env = "NAMEBEAT_GUARD_HOLD", value_name = "TIME")]
    pub guard_hold: Option<TimeSpan>,
    /// Percent of a service's instances whose heartbeats must be late for that [default: 60]
    #[arg(long, env = "NAMEBEAT_GUARD_SHARE", value_name = "PERCENT")]
    pub guard_share: Option<u8>,
    /// Fewest instances of a service for that, or a tenth of those of all services [default: 5]
    #[arg(long, env = "NAMEBEAT_GUARD_LEAST", value_name = "N")]
    pub guard_least: Option<usize>,
    /// Threads that answer DNS [default: one a core]
    #[arg(long, env = "NAMEBEAT_WORKERS", value_name = "N")]
    pub workers: Option<usize>,
    /// TTL of answers, before leases bound it; whole seconds up to 1h [default: 5s]
    #[arg(long, env = "NAMEBEAT_TTL", value_name = "TIME")]
    pub ttl: Option<TimeSpan>,
    /// TTL of negative answers; whole seconds up to 1h [default: 2s]
    #[arg(long, env = "NAMEBEAT_NEGATIVE_TTL", value_name = "TIME")]
    pub negative_ttl: Option<TimeSpan>,
    /// Largest UDP payload for clients elsewhere, 512 to 4096 octets [default: 1232]
    #[arg(long, env = "NAMEBEAT_UDP_PAYLOAD", value_name = "OCTETS")]
    pub udp_payload: Option<u16>,
    /// Network whose clients are answered, and others not; repeatable [default: all]
    #[arg(
        long,
        env = "NAMEBEAT_ALLOW_QUERY",
        value_name = "NET",
        value_delimiter = ','
    )]
    pub allow_query: Option<Vec<Network>>,
    /// Network whose clients aren't answered, but for what is allowed inside of it; repeatable
    #[arg(
        long,
        env = "NAMEBEAT_DENY_QUERY",
        value_name = "NET",
        value_delimiter = ','
    )]
    pub deny_query: Option<Vec<Network>>,
    /// Answers a second over UDP for a client's network (IPv4 /24, IPv6 /56), 0 for any number [default: 1000]
    #[arg(long, env = "NAMEBEAT_RATE_LIMIT", value_name = "N")]
    pub rate_limit: Option<u32>,
    /// Of those above the rate one in N is sent truncated and the others aren't, 0 to send none [default: 1]
    #[arg(long, env = "NAMEBEAT_RATE_LIMIT_SLIP", value_name = "N")]
    pub rate_limit_slip: Option<u32>,
    /// Limit the rate of clients on this machine, too
    #[arg(long, env = "NAMEBEAT_RATE_LIMIT_LOOPBACK", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub rate_limit_loopback: Option<bool>,
    /// Give DNS cookies and check them [default: true]
    #[arg(long, env = "NAMEBEAT_COOKIES", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub cookies: Option<bool>,
    /// Have clients over UDP that send a cookie show a valid one first (BADCOOKIE)
    #[arg(long, env = "NAMEBEAT_REQUIRE_COOKIES", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub require_cookies: Option<bool>,
    /// Name of this server for those who ask which one answers (NSID); 1 to 255 octets
    #[arg(long, env = "NAMEBEAT_SERVER_ID", value_name = "TEXT")]
    pub server_id: Option<String>,
    /// Answer version.bind, version.server, and with a server id id.server, in class CH
    #[arg(long, env = "NAMEBEAT_CHAOS", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub chaos: Option<bool>,
    /// Memory of a worker for prepared answers, 0 to keep none [default: 64]
    #[arg(long, env = "NAMEBEAT_ANSWER_CACHE", value_name = "MIB")]
    pub answer_cache: Option<u32>,
    /// Most instances; more are refused with 429 [default: 1000000]
    #[arg(long, env = "NAMEBEAT_MAX_INSTANCES", value_name = "N")]
    pub max_instances: Option<usize>,
    /// Most instances of one service; more are refused with 429 [default: 10000]
    #[arg(long, env = "NAMEBEAT_MAX_INSTANCES_PER_SERVICE", value_name = "N")]
    pub max_instances_per_service: Option<usize>,
    /// Most services; more are refused with 429 [default: 1000000]
    #[arg(long, env = "NAMEBEAT_MAX_SERVICES", value_name = "N")]
    pub max_services: Option<usize>,
    /// Most health probes under way at once, 1 to 10000 [default: 512]
    #[arg(long, env = "NAMEBEAT_CHECK_CONCURRENCY", value_name = "N")]
    pub check_concurrency: Option<usize>,
    /// Most of them at one address, 1 to 10000 [default: 32]
    #[arg(long, env = "NAMEBEAT_CHECK_CONCURRENCY_PER_TARGET", value_name = "N")]
    pub check_concurrency_per_target: Option<usize>,
    /// Where health probes may go: private, loopback, registrant (the address that a
    /// registration comes from), any, or a network; repeatable; clouds' metadata addresses
    /// are never probed [default: private,loopback,registrant]
    #[arg(
        long,
        env = "NAMEBEAT_CHECK_NETWORKS",
        value_name = "WHERE",
        value_delimiter = ','
    )]
    pub check_networks: Option<Vec<CheckNetwork>>,
    /// PEM file of certificates that checks with tls_verify trust beside the system's
    #[arg(long, env = "NAMEBEAT_CHECK_CA", value_name = "FILE")]
    pub check_ca: Option<PathBuf>,
    /// A span for each health probe, which hands on its trace context, when traces are exported
    #[arg(long, env = "NAMEBEAT_TRACE_CHECKS", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub trace_checks: Option<bool>,
    /// Name server that host names of instances are looked up with; repeatable [default: those of /etc/resolv.conf]
    #[arg(
        long,
        env = "NAMEBEAT_RESOLVER",
        value_name = "ADDR:PORT",
        value_delimiter = ','
    )]
    pub resolver: Option<Vec<SocketAddr>>,
    /// One span for every N queries when traces are exported, 0 for none [default: 1000]
    #[arg(long, env = "NAMEBEAT_TRACE_QUERIES", value_name = "N")]
    pub trace_queries: Option<u64>,
    /// Serve the HTTP API beyond loopback, where anybody who reaches it may register
    #[arg(long, env = "NAMEBEAT_ALLOW_UNPROTECTED_API", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub allow_unprotected_api: Option<bool>,
}

impl Settings {
    /// Reads `file`, or [`DEFAULT_FILE`] when that is there and none is named.
    pub fn read(file: Option<&Path>) -> Result<Self, ConfigError> {
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(error) => Err(ConfigError::Unreadable(path.to_owned(), error)),
        }
    }

    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text.as_bytes()[..start]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
                + 1;
            ConfigError::File(path.to_owned(), line, error.message().replace('\n', "; "))
        })
    }

    /// These settings, and for what they leave open those of `lower`.
    #[must_use]
    pub fn over(self, lower: Self) -> Self {
        Self {
            dns: self.dns.or(lower.dns),
            http: self.http.or(lower.http),
            http_connections: self.http_connections.or(lower.http_connections),
            http_rate: self.http_rate.or(lower.http_rate),
            zone: self.zone.or(lower.zone),
            zones: self.zones.or(lower.zones),
            reverse_zones: self.reverse_zones.or(lower.reverse_zones),
            data_dir: self.data_dir.or(lower.data_dir),
            guard_hold: self.guard_hold.or(lower.guard_hold),
            guard_share: self.guard_share.or(lower.guard_share),
            guard_least: self.guard_least.or(lower.guard_least),
            key_file: self.key_file.or(lower.key_file),
            ephemeral: self.ephemeral.or(lower.ephemeral),
            workers: self.workers.or(lower.workers),
            ttl: self.ttl.or(lower.ttl),
            negative_ttl: self.negative_ttl.or(lower.negative_ttl),
            udp_payload: self.udp_payload.or(lower.udp_payload),
            allow_query: self.allow_query.or(lower.allow_query),
            deny_query: self.deny_query.or(lower.deny_query),
            rate_limit: self.rate_limit.or(lower.rate_limit),
            rate_limit_slip: self.rate_limit_slip.or(lower.rate_limit_slip),
            rate_limit_loopback: self.rate_limit_loopback.or(lower.rate_limit_loopback),
            cookies: self.cookies.or(lower.cookies),
            require_cookies: self.require_cookies.or(lower.require_cookies),
            server_id: self.server_id.or(lower.server_id),
            chaos: self.chaos.or(lower.chaos),
            answer_cache: self.answer_cache.or(lower.answer_cache),
            max_instances: self.max_instances.or(lower.max_instances),
            max_instances_per_service: self
                .max_instances_per_service
                .or(lower.max_instances_per_service),
            max_services: self.max_services.or(lower.max_services),
            check_concurrency: self.check_concurrency.or(lower.check_concurrency),
            check_concurrency_per_target: self
                .check_concurrency_per_target
                .or(lower.check_concurrency_per_target),
            check_networks: self.check_networks.or(lower.check_networks),
            check_ca: self.check_ca.or(lower.check_ca),
            trace_checks: self.trace_checks.or(lower.trace_checks),
            resolver: self.resolver.or(lower.resolver),
            trace_queries: self.trace_queries.or(lower.trace_queries),
            allow_unprotected_api: self.allow_unprotected_api.or(lower.allow_unprotected_api),
        }
    }
}
