//! `namebeat check-config`.

use namebeat::server;
use namebeat::time::TimeSpan;

use super::{CommandError, ServerArguments};

/// Checks settings and zone files, and prints what they come to.
pub(super) fn run(arguments: ServerArguments) -> Result<(), CommandError> {
    let config = arguments.into_config()?;
    server::check(&config)?;
    let dns: Vec<String> = config
        .dns
        .iter()
        .map(|address| format!("\"{address}\""))
        .collect();
    println!("dns = [{}]", dns.join(", "));
    println!("http = \"{}\"", config.http);
    println!("zone = {}", quoted(&config.zone.to_string()));
    if let Some(dir) = &config.zones {
        println!("zones = {}", quoted(&dir.display().to_string()));
    }
    println!("workers = {}", config.workers);
    println!("ttl = \"{}\"", TimeSpan(config.table.ttl));
    println!("negative_ttl = \"{}\"", TimeSpan(config.table.negative_ttl));
    println!("udp_payload = {}", config.udp_payload);
    println!("max_instances = {}", config.table.max_instances);
    println!("check_concurrency = {}", config.health.concurrency);
    println!("trace_queries = {}", config.trace_queries);
    println!("allow_unprotected_api = {}", config.allow_unprotected_api);
    println!("# The settings are good.");
    Ok(())
}

/// A TOML string. What JSON escapes, TOML escapes alike, and one character more.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007f")
}
