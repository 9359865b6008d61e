//! Settings: a file, the environment and flags, in rising order.
//!
//! [`Settings`] has every setting once, with its key in the file, its variable
//! and its flag; [`Config`] is what they come to, made of the parts' own
//! configurations. A key that nothing knows is refused with its line.

mod limits;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

pub use self::limits::{Limits, MIB};
use crate::dns::access::{Network, TooManyNetworks};
use crate::dns::answer::DEFAULT_UDP_PAYLOAD;
use crate::dns::reverse::{ReverseError, ReverseNetworks};
use crate::health::HealthConfig;
use crate::name::DomainName;
use crate::registry::table::TableConfig;
use crate::time::TimeSpan;

/// The file that is read when it's there and none is named.
pub const DEFAULT_FILE: &str = "namebeat.toml";

/// The directory of static zones that is read when it's there and none is named.
const DEFAULT_ZONES: &str = "zones";

/// Longest TTL that may be set: what a client holds that long can't be withdrawn sooner.
const MAX_TTL: Duration = Duration::from_secs(3600);

/// Most octets of a UDP payload that may be set.
const MAX_UDP_PAYLOAD: u16 = 4096;

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
    /// Directory for state; nothing is kept on disk yet, so this only warns
    #[arg(long, env = "NAMEBEAT_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Keep nothing on disk, which is all there is yet
    #[arg(long, env = "NAMEBEAT_EPHEMERAL", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub ephemeral: Option<bool>,
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
    /// Memory of a worker for prepared answers, 0 to keep none [default: 64]
    #[arg(long, env = "NAMEBEAT_ANSWER_CACHE", value_name = "MIB")]
    pub answer_cache: Option<u32>,
    /// Most instances; more are refused with 429 [default: 1000000]
    #[arg(long, env = "NAMEBEAT_MAX_INSTANCES", value_name = "N")]
    pub max_instances: Option<usize>,
    /// Most health probes under way at once, 1 to 10000 [default: 256]
    #[arg(long, env = "NAMEBEAT_CHECK_CONCURRENCY", value_name = "N")]
    pub check_concurrency: Option<usize>,
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

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
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
            zone: self.zone.or(lower.zone),
            zones: self.zones.or(lower.zones),
            reverse_zones: self.reverse_zones.or(lower.reverse_zones),
            data_dir: self.data_dir.or(lower.data_dir),
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
            answer_cache: self.answer_cache.or(lower.answer_cache),
            max_instances: self.max_instances.or(lower.max_instances),
            check_concurrency: self.check_concurrency.or(lower.check_concurrency),
            trace_queries: self.trace_queries.or(lower.trace_queries),
            allow_unprotected_api: self.allow_unprotected_api.or(lower.allow_unprotected_api),
        }
    }
}

/// What a server is started with. [`Config::default`] is what `namebeat serve`
/// has without any setting.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses of DNS; port 0 takes a free one.
    pub dns: Vec<SocketAddr>,
    /// Address of the HTTP API; port 0 takes a free one.
    pub http: SocketAddr,
    /// The discovery zone.
    pub zone: DomainName,
    /// Directory of static zones.
    pub zones: Option<PathBuf>,
    /// Networks with a reverse zone.
    pub reverse_zones: ReverseNetworks,
    /// Threads that answer DNS.
    pub workers: usize,
    /// Largest UDP payload for clients elsewhere.
    pub udp_payload: u16,
    /// Which clients are answered, how often, and what that may take.
    pub limits: Limits,
    /// Settings of the registry.
    pub table: TableConfig,
    /// Settings of the checks.
    pub health: HealthConfig,
    /// One span for every so many queries; 0 is none.
    pub trace_queries: u64,
    /// Whether the unprotected API may be served beyond loopback.
    pub allow_unprotected_api: bool,
    /// A directory for state that was asked for, and isn't used yet.
    pub data_dir: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        // Without a setting there's none that could be wrong.
        Self::from_parts(Settings::default(), default_zone(), Limits::default())
    }
}

fn default_zone() -> DomainName {
    DomainName::from_wire(b"\x03svc\x08internal\0").unwrap_or_else(|_| DomainName::root())
}

impl Config {
    /// Checks settings and fills in defaults.
    pub fn new(settings: Settings) -> Result<Self, ConfigError> {
        let zone = match &settings.zone {
            Some(text) => zone_name(text)?,
            None => default_zone(),
        };
        if let Some(dir) = settings.zones.as_ref().filter(|dir| !dir.is_dir()) {
            return Err(ConfigError::wrong(
                "zones",
                dir.display(),
                "an existing directory",
            ));
        }
        let limits = Limits::new(&settings)?;
        let networks = settings.reverse_zones.clone().unwrap_or_default();
        let config = Self {
            reverse_zones: ReverseNetworks::new(networks)?,
            ..Self::from_parts(settings, zone, limits)
        };
        if config.dns.is_empty() {
            return Err(ConfigError::wrong(
                "dns",
                "[]",
                "one address and port or more",
            ));
        }
        for (key, ttl) in [
            ("ttl", config.table.ttl),
            ("negative_ttl", config.table.negative_ttl),
        ] {
            if ttl > MAX_TTL || ttl.subsec_nanos() != 0 {
                return Err(ConfigError::wrong(
                    key,
                    TimeSpan(ttl),
                    "whole seconds up to 1h",
                ));
            }
        }
        if !(512..=MAX_UDP_PAYLOAD).contains(&config.udp_payload) {
            return Err(ConfigError::wrong(
                "udp_payload",
                config.udp_payload,
                "512 to 4096",
            ));
        }
        if !(1..=1024).contains(&config.workers) {
            return Err(ConfigError::wrong("workers", config.workers, "1 to 1024"));
        }
        if !(1..=10_000).contains(&config.health.concurrency) {
            let value = config.health.concurrency;
            return Err(ConfigError::wrong("check_concurrency", value, "1 to 10000"));
        }
        if !config.http.ip().is_loopback() && !config.allow_unprotected_api {
            return Err(ConfigError::Unprotected(config.http));
        }
        Ok(config)
    }

    fn from_parts(settings: Settings, zone: DomainName, limits: Limits) -> Self {
        let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let seconds = |span: Option<TimeSpan>, default| {
            span.map_or(Duration::from_secs(default), |span| span.0)
        };
        Self {
            dns: settings.dns.unwrap_or_else(|| vec![local(8053)]),
            http: settings.http.unwrap_or_else(|| local(8054)),
            zone,
            zones: settings.zones.or_else(|| {
                Path::new(DEFAULT_ZONES)
                    .is_dir()
                    .then(|| DEFAULT_ZONES.into())
            }),
            reverse_zones: ReverseNetworks::default(),
            workers: settings.workers.unwrap_or_else(|| {
                std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
            }),
            udp_payload: settings.udp_payload.unwrap_or(DEFAULT_UDP_PAYLOAD),
            limits,
            table: TableConfig {
                ttl: seconds(settings.ttl, 5),
                negative_ttl: seconds(settings.negative_ttl, 2),
                max_instances: settings.max_instances.unwrap_or(1_000_000),
            },
            health: HealthConfig {
                concurrency: settings.check_concurrency.unwrap_or(256),
            },
            trace_queries: settings.trace_queries.unwrap_or(1000),
            allow_unprotected_api: settings.allow_unprotected_api.unwrap_or(false),
            data_dir: settings
                .data_dir
                .filter(|_| settings.ephemeral != Some(true)),
        }
    }
}

/// Reads the discovery zone's name; the final dot may be left out.
fn zone_name(text: &str) -> Result<DomainName, ConfigError> {
    let wrong = || {
        ConfigError::wrong(
            "zone",
            text,
            "a domain name such as svc.internal., of at most 127 octets on the wire",
        )
    };
    let name = DomainName::parse(text, Some(&DomainName::root()))
        .map_err(|_| wrong())?
        .folded();
    // The longest names in it are two labels and a dot each before it.
    if name.labels().next().is_none() || name.as_wire().len() > 255 - 2 * 64 {
        return Err(wrong());
    }
    Ok(name)
}

/// Why settings can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{file}: can't be read: {1}", file = .0.display())]
    Unreadable(PathBuf, std::io::Error),
    /// The file's text is wrong.
    #[error("{file}:{1}: {2}", file = .0.display())]
    File(PathBuf, usize, String),
    /// A setting's value is wrong.
    #[error("{key} is {value:?}; allowed is {allowed}")]
    Value {
        /// The setting's key in the file.
        key: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// The rules for clients are too many.
    #[error("allow_query, deny_query: {0}")]
    Networks(#[from] TooManyNetworks),
    /// A network can't have a reverse zone.
    #[error("reverse_zones: {0}")]
    Reverse(#[from] ReverseError),
    /// The API would be open to others.
    #[error(
        "http is {0}, which others can reach, and the API asks for no token yet: keep it on loopback, \
         such as 127.0.0.1:8054, or give --allow-unprotected-api when only friends reach it"
    )]
    Unprotected(SocketAddr),
}

impl ConfigError {
    fn wrong(key: &'static str, value: impl ToString, allowed: &'static str) -> Self {
        Self::Value {
            key,
            value: value.to_string(),
            allowed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let settings = Settings::parse(text, Path::new("n.toml"));
        settings
            .and_then(Config::new)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        let text = error("ttl = \"3s\"\n\nzome = \"x.\"\n");
        assert!(text.starts_with("n.toml:3: unknown field `zome`"), "{text}");
        let text = error("http = \"127.0.0.1:1\"\nttl = 5\n");
        assert!(text.starts_with("n.toml:2: invalid type"), "{text}");
    }

    #[test]
    fn bad_values_are_named() {
        for (text, part) in [
            (
                "ttl = \"1500ms\"",
                "ttl is \"1500ms\"; allowed is whole seconds",
            ),
            (
                "udp_payload = 100",
                "udp_payload is \"100\"; allowed is 512 to 4096",
            ),
            ("zone = \".\"", "zone is \".\"; allowed is a domain name"),
            ("workers = 0", "workers is \"0\""),
            ("zones = \"/nowhere/at/all\"", "an existing directory"),
            ("http = \"0.0.0.0:1\"", "--allow-unprotected-api"),
        ] {
            assert!(error(text).contains(part), "{}", error(text));
        }
    }

    #[test]
    fn higher_settings_win() {
        let file = Settings::parse("ttl = \"3s\"\nnegative_ttl = \"1s\"", Path::new("f")).unwrap();
        let flags = Settings {
            ttl: Some("9s".parse().unwrap()),
            ..Settings::default()
        };
        let config = Config::new(flags.over(file)).unwrap();
        assert_eq!(config.table.ttl, Duration::from_secs(9));
        assert_eq!(config.table.negative_ttl, Duration::from_secs(1));
        assert_eq!(config.zone.to_string(), "svc.internal.");
    }
}
