//! `namebeat explain`: what is answered to a question, and why.

use std::io::{self, Write};
use std::net::IpAddr;

use chrono::{DateTime, SecondsFormat, Utc};
use namebeat::api::explain::{ExplainedInstance, ExplainedProbe, Explanation, Resolved};

use super::CommandError;
use super::api_server::{ASKING, ApiArguments, call};
use super::output::{self, Paint, Tone, harmless};

/// What to explain, and whom to ask.
#[derive(clap::Args)]
pub(super) struct ExplainArguments {
    /// Name, taken as absolute with or without its final dot
    name: String,
    /// Record type, such as SRV or TYPE65280
    #[arg(value_name = "TYPE", default_value = "A")]
    rtype: String,
    /// Address of the client that asks, for whom the answer may differ
    #[arg(long, value_name = "ADDR")]
    client: Option<IpAddr>,
    #[command(flatten)]
    api: ApiArguments,
}

/// Asks the server, and prints what it says.
pub(super) fn run(arguments: ExplainArguments) -> Result<(), CommandError> {
    let ExplainArguments {
        name,
        rtype,
        client,
        api,
    } = arguments;
    let explanation = call(ASKING, async {
        Ok(api.client()?.explain(&name, &rtype, client).await?)
    })?;
    match api.json {
        true => output::json(&explanation)?,
        false => {
            // Whoever closes the pipe has read enough.
            let _ = print(&explanation, Paint::of_stdout(), &mut io::stdout().lock());
        }
    }
    Ok(())
}

fn print(explanation: &Explanation, paint: Paint, out: &mut impl Write) -> io::Result<()> {
    let Explanation {
        name,
        rtype,
        reading,
        rcode,
        authoritative,
        answer,
        authority,
        additional,
        error,
        size,
        ttl,
        instances,
        more,
    } = explanation;
    writeln!(out, "{name} {rtype}: {reading}")?;
    let authoritative = if *authoritative {
        ", authoritative"
    } else {
        ""
    };
    writeln!(out, "{rcode}{authoritative}, {size} octets")?;
    if let Some(error) = error {
        writeln!(out, "extended error {error}")?;
    }
    if let Some(ttl) = ttl {
        writeln!(out, "TTL {}: {}", ttl.seconds, ttl.bound)?;
    }
    for (section, records) in [
        ("answer", answer),
        ("authority", authority),
        ("additional", additional),
    ] {
        for record in records {
            writeln!(out, "  {section:10} {record}")?;
        }
    }
    for instance in instances {
        print_instance(instance, paint, out)?;
    }
    if *more != 0 {
        writeln!(out, "and {more} instances more")?;
    }
    Ok(())
}

fn print_instance(
    instance: &ExplainedInstance,
    paint: Paint,
    out: &mut impl Write,
) -> io::Result<()> {
    let place = match instance.is_in {
        true => paint.text(Tone::Good, "in "),
        false => paint.text(Tone::Bad, "out"),
    };
    let why = instance
        .why
        .as_deref()
        .map_or(String::new(), |why| format!(": {}", harmless(why)));
    writeln!(out, "{place} {}{why}", instance.id)?;
    let addresses: Vec<&str> = instance.addresses.iter().map(String::as_str).collect();
    let lease = match (&instance.lease_left, &instance.term) {
        (Some(left), Some(term)) => format!("lease {left} of {term}"),
        _ => "no lease".to_owned(),
    };
    let held = if instance.held { ", held" } else { "" };
    let output = instance
        .output
        .as_deref()
        .map_or(String::new(), |output| format!(" ({})", harmless(output)));
    let reported = instance
        .reported
        .as_deref()
        .map_or(String::new(), |status| format!(", says {status}"));
    writeln!(
        out,
        "    {} port {}, priority {} weight {}, {lease}{held}, {}{output}{reported}",
        addresses.join(" "),
        instance.port,
        instance.priority,
        instance.weight,
        instance.health,
    )?;
    match (&instance.host, &instance.resolved) {
        (Some(host), Some(resolved)) => writeln!(out, "    {}", resolution(host, resolved)),
        (Some(host), None) => writeln!(out, "    host {host} not looked up yet"),
        (None, _) => Ok(()),
    }?;
    instance
        .last_probe
        .as_ref()
        .map_or(Ok(()), |probe| print_probe(probe, out))
}

fn print_probe(probe: &ExplainedProbe, out: &mut impl Write) -> io::Result<()> {
    let time = |at: &DateTime<Utc>| at.format("%H:%M:%S%.3fZ").to_string();
    let ExplainedProbe {
        at,
        took,
        result,
        output,
        in_a_row,
        next_at,
        ..
    } = probe;
    let (at, next_at) = (time(at), time(next_at));
    write!(
        out,
        "    probed at {at}, {result} in {took} ({output}), {in_a_row} in a row, next at {next_at}"
    )?;
    if let Some(fails_at) = &probe.fails_at {
        write!(out, ", may be withdrawn from {}", time(fails_at))?;
    }
    if probe.flaps != 0 {
        write!(out, ", flapped {} times", probe.flaps)?;
    }
    if let Some(until) = &probe.damped_until {
        write!(out, ", held back until {}", time(until))?;
    }
    writeln!(out)
}

/// What is known of a host name, in a line.
fn resolution(host: &str, resolved: &Resolved) -> String {
    let time = |time: &DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut line = format!("host {host}");
    let mut part = |word: &str, at: &Option<DateTime<Utc>>| {
        if let Some(at) = at {
            line += &format!(", {word} {}", time(at));
        }
    };
    part("looked up", &resolved.looked_up);
    part("good until", &resolved.good_until);
    part("failed", &resolved.failed);
    if let Some(error) = &resolved.error {
        line += &format!(": {error}");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_host_name_is_a_line() {
        let at = |secs| DateTime::from_timestamp(secs, 0);
        let known = Resolved {
            addresses: vec!["10.0.0.1".to_owned()],
            looked_up: at(0),
            good_until: at(5),
            failed: at(7),
            error: Some("A: no name server answers in time".to_owned()),
        };
        assert_eq!(
            resolution("db.example.", &known),
            "host db.example., looked up 1970-01-01T00:00:00Z, good until 1970-01-01T00:00:05Z, \
             failed 1970-01-01T00:00:07Z: A: no name server answers in time"
        );
    }
}
