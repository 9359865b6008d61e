//! Settings: a file, the environment and flags, in rising order.
//!
//! [`Settings`] has every setting once, with its key in the file, its variable
//! and its flag; [`Config`] is what they come to, made of the parts' own
//! configurations. A key that nothing knows is refused with its line.

mod limits;
mod settings;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

pub use self::limits::{Limits, MIB};
pub use self::settings::{DEFAULT_FILE, Settings};
use crate::dns::access::TooManyNetworks;
use crate::dns::answer::DEFAULT_UDP_PAYLOAD;
use crate::dns::identity::{Identity, MAX_SERVER_ID_LEN};
use crate::dns::reverse::{ReverseError, ReverseNetworks};
use crate::health::HealthConfig;
use crate::limit::MAX_RATE;
use crate::name::DomainName;
use crate::registry::check::networks::CheckNetworks;
use crate::registry::guard::{GuardConfig, MAX_HOLD};
use crate::registry::policy::MAX_TTL;
use crate::registry::table::TableConfig;
use crate::time::TimeSpan;

/// The directory of static zones that is read when it's there and none is named.
const DEFAULT_ZONES: &str = "zones";

/// Most octets of a UDP payload that may be set.
const MAX_UDP_PAYLOAD: u16 = 4096;

/// Most entries of `check_networks`.
const MAX_CHECK_NETWORKS: usize = 1000;

/// What a server is started with. [`Config::default`] is what `namebeat serve`
/// has without any setting, but that it keeps no state: where a program that the server
/// is part of keeps things is its own to say.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses of DNS; port 0 takes a free one.
    pub dns: Vec<SocketAddr>,
    /// Address of the HTTP API; port 0 takes a free one.
    pub http: SocketAddr,
    /// Most connections to it at once.
    pub http_connections: usize,
    /// Most changes of the registry a second that one address may ask for over HTTP,
    /// and at once after a silence; 0 limits nothing.
    pub http_rate: u32,
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
    /// What the server says of itself.
    pub identity: Identity,
    /// Settings of the registry.
    pub table: TableConfig,
    /// Settings of the checks.
    pub health: HealthConfig,
    /// One span for every so many queries; 0 is none.
    pub trace_queries: u64,
    /// Whether the unprotected API may be served beyond loopback.
    pub allow_unprotected_api: bool,
    /// Where the state is kept; `None` keeps nothing.
    pub data_dir: Option<PathBuf>,
    /// File of the keys that the state is sealed with, if it is.
    pub key_file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        // Without a setting there's none that could be wrong.
        let settings = Settings {
            ephemeral: Some(true),
            ..Settings::default()
        };
        Self::from_parts(settings, default_zone(), Limits::default())
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
        let server_id = settings.server_id.as_deref().unwrap_or_default();
        if MAX_SERVER_ID_LEN < server_id.len() || settings.server_id.as_deref() == Some("") {
            return Err(ConfigError::wrong(
                "server_id",
                server_id,
                "1 to 255 octets",
            ));
        }
        let ephemeral = settings.ephemeral == Some(true);
        let settings = Settings {
            data_dir: match ephemeral {
                true => None,
                false => Some(settings.data_dir.map_or_else(state_dir, Ok)?),
            },
            ..settings
        };
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
        let guard = config.table.guard;
        if MAX_HOLD < guard.hold {
            let value = TimeSpan(guard.hold);
            return Err(ConfigError::wrong("guard_hold", value, "0s to 10m"));
        }
        if !(1..=100).contains(&guard.share) {
            return Err(ConfigError::wrong("guard_share", guard.share, "1 to 100"));
        }
        if guard.least == 0 {
            return Err(ConfigError::wrong("guard_least", 0, "1 or more"));
        }
        if !(512..=MAX_UDP_PAYLOAD).contains(&config.udp_payload) {
            return Err(ConfigError::wrong(
                "udp_payload",
                config.udp_payload,
                "512 to 4096",
            ));
        }
        if !(1..=1_000_000).contains(&config.http_connections) {
            let value = config.http_connections;
            return Err(ConfigError::wrong(
                "http_connections",
                value,
                "1 to 1000000",
            ));
        }
        if config.http_rate > MAX_RATE {
            return Err(ConfigError::wrong(
                "http_rate",
                config.http_rate,
                "0 to 1000000",
            ));
        }
        if !(1..=1024).contains(&config.workers) {
            return Err(ConfigError::wrong("workers", config.workers, "1 to 1024"));
        }
        for (key, value) in [
            ("check_concurrency", config.health.concurrency),
            ("check_concurrency_per_target", config.health.per_target),
        ] {
            if !(1..=10_000).contains(&value) {
                return Err(ConfigError::wrong(key, value, "1 to 10000"));
            }
        }
        if config.health.networks.rules().len() > MAX_CHECK_NETWORKS {
            let count = config.health.networks.rules().len();
            return Err(ConfigError::wrong(
                "check_networks",
                count,
                "1000 entries at most",
            ));
        }
        if !config.http.ip().is_loopback() && !config.allow_unprotected_api {
            return Err(ConfigError::Unprotected(config.http));
        }
        Ok(config)
    }

    fn from_parts(settings: Settings, zone: DomainName, limits: Limits) -> Self {
        let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let table = TableConfig::default();
        let guard = table.guard;
        let span = |span: Option<TimeSpan>, default| span.map_or(default, |span| span.0);
        Self {
            dns: settings.dns.unwrap_or_else(|| vec![local(8053)]),
            http: settings.http.unwrap_or_else(|| local(8054)),
            http_connections: settings.http_connections.unwrap_or(16_384),
            http_rate: settings.http_rate.unwrap_or(0),
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
            identity: Identity::new(
                settings.server_id.as_deref().unwrap_or_default(),
                settings.chaos.unwrap_or(false),
            ),
            table: TableConfig {
                ttl: span(settings.ttl, table.ttl),
                negative_ttl: span(settings.negative_ttl, table.negative_ttl),
                max_instances: settings.max_instances.unwrap_or(table.max_instances),
                max_instances_per_service: settings
                    .max_instances_per_service
                    .unwrap_or(table.max_instances_per_service),
                max_services: settings.max_services.unwrap_or(table.max_services),
                guard: GuardConfig {
                    hold: span(settings.guard_hold, guard.hold),
                    share: settings.guard_share.unwrap_or(guard.share),
                    least: settings.guard_least.unwrap_or(guard.least),
                },
            },
            health: HealthConfig {
                concurrency: settings.check_concurrency.unwrap_or(512),
                per_target: settings.check_concurrency_per_target.unwrap_or(32),
                networks: settings
                    .check_networks
                    .map_or_else(CheckNetworks::default, CheckNetworks::new),
                ca: settings.check_ca,
                trace: settings.trace_checks.unwrap_or(false),
                resolvers: settings.resolver.unwrap_or_default(),
            },
            trace_queries: settings.trace_queries.unwrap_or(1000),
            allow_unprotected_api: settings.allow_unprotected_api.unwrap_or(false),
            data_dir: settings.data_dir,
            key_file: settings.key_file,
        }
    }
}

/// The directory of the state unless one is named, by the XDG Base Directory
/// Specification: relative paths in the variable don't count.
fn state_dir() -> Result<PathBuf, ConfigError> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let absolute = |path: &PathBuf| path.is_absolute();
    let home = || variable("HOME").filter(absolute);
    let base = variable("XDG_STATE_HOME").filter(absolute);
    let base = base.or_else(|| home().map(|home| home.join(".local/state")));
    base.map(|base| base.join("namebeat"))
        .ok_or(ConfigError::NoStateDir)
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
    /// Nothing says where the state may be.
    #[error(
        "there is no place for the state, for neither XDG_STATE_HOME nor HOME is set: name one with \
         --data-dir, or keep nothing with --ephemeral"
    )]
    NoStateDir,
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
    use std::time::Duration;

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
            (
                "check_concurrency_per_target = 0",
                "check_concurrency_per_target is \"0\"; allowed is 1 to 10000",
            ),
            (
                "check_networks = [\"public\"]",
                "\"public\" is nowhere that probes could go",
            ),
            (
                "guard_hold = \"11m\"",
                "guard_hold is \"11m\"; allowed is 0s to 10m",
            ),
            (
                "guard_share = 0",
                "guard_share is \"0\"; allowed is 1 to 100",
            ),
            (
                "guard_least = 0",
                "guard_least is \"0\"; allowed is 1 or more",
            ),
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
