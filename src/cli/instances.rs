//! `namebeat services`, `instances` and `stats`: what is registered, as tables.

use std::io;
use std::net::SocketAddr;

use chrono::{DateTime, Utc};
use namebeat::api::{Instance, Service, Stats};
use namebeat::client::Filter;
use namebeat::time::Clock;

use super::CommandError;
use super::api_server::{ASKING, ApiArguments, call};
use super::output::{self, Cell, Paint, Table, Tone, harmless};

/// Which instances.
#[derive(Clone, Debug, clap::Args)]
#[command(disable_version_flag = true)]
struct FilterArguments {
    /// Only those with this tag; repeat it
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = super::instance::pair)]
    tags: Vec<(String, String)>,
    /// Only those of this version; 1.4 is every 1.4.x, too
    #[arg(long, value_name = "TEXT")]
    version: Option<String>,
    /// Only those with this protocol
    #[arg(long, value_name = "PROTOCOL")]
    protocol: Option<String>,
}

impl FilterArguments {
    fn filter(&self, all: bool) -> Filter {
        let Self {
            tags,
            version,
            protocol,
        } = self.clone();
        Filter {
            all,
            tags,
            version,
            protocol,
        }
    }
}

/// Which services.
#[derive(clap::Args)]
#[command(disable_version_flag = true)]
pub(super) struct ServicesArguments {
    #[command(flatten)]
    filter: FilterArguments,
    #[command(flatten)]
    api: ApiArguments,
}

/// Which instances, of which service.
#[derive(clap::Args)]
#[command(disable_version_flag = true)]
pub(super) struct InstancesArguments {
    /// The service [default: all]
    service: Option<String>,
    /// Only those that DNS answers with
    #[arg(long)]
    listed: bool,
    #[command(flatten)]
    filter: FilterArguments,
    #[command(flatten)]
    api: ApiArguments,
}

/// Where to ask for totals.
#[derive(clap::Args)]
pub(super) struct StatsArguments {
    #[command(flatten)]
    api: ApiArguments,
}

/// Prints services with how many of their instances are listed.
pub(super) fn services(arguments: ServicesArguments) -> Result<(), CommandError> {
    let filter = arguments.filter.filter(true);
    let services = call(ASKING, async {
        Ok(arguments.api.client()?.services(&filter).await?)
    })?;
    if arguments.api.json {
        return Ok(output::json(&services)?);
    }
    let mut table = Table::new(&["SERVICE", "LISTED", "REGISTERED", "PROTOCOLS"]);
    for Service {
        name, instances, ..
    } in &services.services
    {
        let listed = instances.iter().filter(|one| one.state.listed).count();
        let tone = match listed {
            0 => Tone::Bad,
            some if some < instances.len() => Tone::Fair,
            _ => Tone::Good,
        };
        let mut protocols: Vec<&str> = instances.iter().map(|one| &*one.protocol).collect();
        protocols.sort_unstable();
        protocols.dedup();
        table.row([
            name.into(),
            Cell::toned(tone, listed),
            instances.len().into(),
            protocols.join(" ").into(),
        ]);
    }
    // Whoever closes the pipe has read enough.
    let _ = table.print(Paint::of_stdout(), &mut io::stdout().lock());
    Ok(())
}

/// Prints instances, those that aren't listed with the reason.
pub(super) fn instances(arguments: InstancesArguments) -> Result<(), CommandError> {
    let InstancesArguments {
        service,
        listed,
        filter,
        api,
    } = arguments;
    let filter = filter.filter(!listed);
    let services = call(ASKING, async {
        let client = api.client()?;
        Ok(match &service {
            Some(name) => vec![client.service(name, &filter).await?],
            None => client.services(&filter).await?.services,
        })
    })?;
    let all: Vec<&Instance> = services
        .iter()
        .flat_map(|service| &service.instances)
        .collect();
    match api.json {
        true => output::json(&all)?,
        false => {
            let _ = table(&all).print(Paint::of_stdout(), &mut io::stdout().lock());
        }
    }
    Ok(())
}

/// Prints totals.
pub(super) fn stats(arguments: StatsArguments) -> Result<(), CommandError> {
    let stats = call(ASKING, async { Ok(arguments.api.client()?.stats().await?) })?;
    if arguments.api.json {
        return Ok(output::json(&stats)?);
    }
    let Stats {
        revision,
        services,
        instances,
        healthy,
        unhealthy,
        held,
        by_protocol,
    } = &stats;
    let mut table = Table::new(&["TOTAL", "COUNT"]);
    let bad = if *unhealthy == 0 {
        Tone::Plain
    } else {
        Tone::Bad
    };
    for (name, tone, count) in [
        ("services", Tone::Plain, services),
        ("instances", Tone::Plain, instances),
        ("listed", Tone::Plain, healthy),
        ("withdrawn", bad, unhealthy),
        (
            "held",
            if *held == 0 { Tone::Plain } else { Tone::Fair },
            held,
        ),
    ] {
        table.row([name.into(), Cell::toned(tone, count)]);
    }
    for (protocol, count) in by_protocol {
        table.row([protocol.into(), count.into()]);
    }
    table.row(["revision".into(), revision.into()]);
    let _ = table.print(Paint::of_stdout(), &mut io::stdout().lock());
    Ok(())
}

/// A table of instances.
pub(super) fn table(instances: &[&Instance]) -> Table {
    let clock = Clock::start();
    let now = clock.wall(clock.now());
    let mut table = Table::new(&[
        "SERVICE", "ID", "ENDPOINT", "PROTOCOL", "VERSION", "STATE", "LEASE",
    ]);
    for instance in instances {
        let (tone, state) = state(instance);
        table.row([
            (&instance.name).into(),
            (&instance.id).into(),
            endpoint(instance).into(),
            (&instance.protocol).into(),
            harmless(instance.version.as_deref().unwrap_or_default()).into(),
            Cell::toned(tone, state),
            lease(instance, now).into(),
        ]);
    }
    table
}

/// Where an instance is dialled: an address each.
pub(super) fn endpoint(instance: &Instance) -> String {
    let port = instance.port;
    let hosts = instance
        .host
        .iter()
        .chain(instance.addresses.iter().flatten());
    let endpoint = |host: &String| match host.parse() {
        Ok(ip) => SocketAddr::new(ip, port).to_string(),
        Err(_) => format!("{host}:{port}"),
    };
    let endpoints: Vec<String> = hosts.map(endpoint).collect();
    endpoints.join(" ")
}

/// How an instance is, with the reason when it isn't listed.
pub(super) fn state(instance: &Instance) -> (Tone, String) {
    let state = &instance.state;
    let reason = state.reason.as_deref().unwrap_or(&state.health);
    let output = state
        .output
        .as_deref()
        .filter(|_| !state.listed && !state.draining);
    let output = output.map_or(String::new(), |output| format!(" ({output})"));
    let (tone, text) = match (state.listed, state.draining, &*state.health) {
        (true, _, _) if state.held => (Tone::Fair, "listed, lease held".to_owned()),
        (true, _, _) => (Tone::Good, "listed".to_owned()),
        (false, true, _) | (false, _, "starting") => (Tone::Fair, format!("{reason}{output}")),
        (false, false, _) => (Tone::Bad, format!("{reason}{output}")),
    };
    (tone, harmless(&text))
}

/// What is left of a lease, and its term. By the clock of this machine, so no more than
/// the term.
fn lease(instance: &Instance, now: DateTime<Utc>) -> String {
    let (Some(term), Some(expires_at)) = (instance.lease, instance.state.expires_at) else {
        return "none".to_owned();
    };
    let left = (expires_at - now).num_seconds().max(0).unsigned_abs();
    format!("{} of {term}", rough(left.min(term.0.as_secs())))
}

/// Seconds as people say them: the two largest units.
fn rough(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest:02}s"),
        _ => format!("{hours}h{minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_said_in_two_units() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (61, "1m01s"),
            (3599, "59m59s"),
            (86_400, "24h00m"),
        ] {
            assert_eq!(rough(seconds), text);
        }
    }
}
