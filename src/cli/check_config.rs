//! `namebeat check-config`.

use std::fmt::Display;
use std::io::Write;

use namebeat::config::{Config, Limits, MIB};
use namebeat::server;
use namebeat::time::TimeSpan;

use super::{CommandError, ServerArguments};

/// Checks settings and zone files, and prints what they come to.
pub(super) fn run(arguments: ServerArguments) -> Result<(), CommandError> {
    let config = arguments.into_config()?;
    server::check(&config)?;
    // Whoever closes the pipe has read enough.
    let _ = print(&config, &mut std::io::stdout().lock());
    Ok(())
}

fn print(config: &Config, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "dns = {}", array(&config.dns))?;
    writeln!(out, "http = \"{}\"", config.http)?;
    writeln!(out, "http_connections = {}", config.http_connections)?;
    writeln!(out, "http_rate = {}", config.http_rate)?;
    writeln!(out, "zone = {}", quoted(&config.zone.to_string()))?;
    if let Some(dir) = &config.zones {
        writeln!(out, "zones = {}", quoted(&dir.display().to_string()))?;
    }
    match &config.data_dir {
        Some(dir) => writeln!(out, "data_dir = {}", quoted(&dir.display().to_string()))?,
        None => writeln!(out, "ephemeral = true")?,
    }
    if let Some(file) = &config.key_file {
        writeln!(out, "key_file = {}", quoted(&file.display().to_string()))?;
    }
    let networks = config.reverse_zones.as_slice();
    writeln!(out, "reverse_zones = {}", array(networks))?;
    writeln!(out, "workers = {}", config.workers)?;
    writeln!(out, "ttl = \"{}\"", TimeSpan(config.table.ttl))?;
    let negative_ttl = TimeSpan(config.table.negative_ttl);
    writeln!(out, "negative_ttl = \"{negative_ttl}\"")?;
    writeln!(out, "udp_payload = {}", config.udp_payload)?;
    let Limits {
        access,
        rate,
        cookies,
        require_cookies,
        answer_cache,
    } = &config.limits;
    writeln!(out, "allow_query = {}", array(access.allowed()))?;
    writeln!(out, "deny_query = {}", array(access.denied()))?;
    writeln!(out, "rate_limit = {}", rate.rate)?;
    writeln!(out, "rate_limit_slip = {}", rate.slip)?;
    writeln!(out, "rate_limit_loopback = {}", rate.loopback)?;
    writeln!(out, "cookies = {cookies}")?;
    writeln!(out, "require_cookies = {require_cookies}")?;
    if !config.identity.server_id().is_empty() {
        writeln!(out, "server_id = {}", quoted(config.identity.server_id()))?;
    }
    writeln!(out, "chaos = {}", config.identity.chaos())?;
    writeln!(out, "answer_cache = {}", answer_cache / MIB)?;
    writeln!(out, "max_instances = {}", config.table.max_instances)?;
    let most = config.table.max_instances_per_service;
    writeln!(out, "max_instances_per_service = {most}")?;
    writeln!(out, "max_services = {}", config.table.max_services)?;
    let guard = config.table.guard;
    writeln!(out, "guard_hold = \"{}\"", TimeSpan(guard.hold))?;
    writeln!(out, "guard_share = {}", guard.share)?;
    writeln!(out, "guard_least = {}", guard.least)?;
    let health = &config.health;
    writeln!(out, "check_concurrency = {}", health.concurrency)?;
    let per_target = health.per_target;
    writeln!(out, "check_concurrency_per_target = {per_target}")?;
    writeln!(out, "check_networks = {}", array(health.networks.rules()))?;
    if let Some(ca) = &health.ca {
        writeln!(out, "check_ca = {}", quoted(&ca.display().to_string()))?;
    }
    writeln!(out, "trace_checks = {}", health.trace)?;
    writeln!(out, "resolver = {}", array(&health.resolvers))?;
    writeln!(out, "trace_queries = {}", config.trace_queries)?;
    let allowed = config.allow_unprotected_api;
    writeln!(out, "allow_unprotected_api = {allowed}")?;
    writeln!(out, "# The settings are good.")
}

/// A TOML array of what has no quotes in it.
fn array(values: &[impl Display]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

/// A TOML string. What JSON escapes, TOML escapes alike, and one character more.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007f")
}
