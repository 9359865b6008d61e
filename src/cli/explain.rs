//! `namebeat explain`: what is answered to a question, and why.

use std::io::{self, Write};
use std::net::IpAddr;

use namebeat::api::explain::{ExplainedInstance, Explanation};
use reqwest::Url;

use super::CommandError;

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
    /// The HTTP API of the server
    #[arg(
        long,
        env = "NAMEBEAT_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:8054"
    )]
    server: Url,
    /// Print the API's answer as it is
    #[arg(long)]
    json: bool,
}

/// Asks the server, and prints what it says.
pub(super) fn run(arguments: ExplainArguments) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let text = runtime.block_on(fetch(&arguments))?;
    let mut out = io::stdout().lock();
    // Whoever closes the pipe has read enough.
    let _ = match arguments.json {
        true => writeln!(out, "{text}"),
        false => {
            let explanation = serde_json::from_str(&text).map_err(io::Error::from)?;
            print(&explanation, &mut out)
        }
    };
    Ok(())
}

async fn fetch(arguments: &ExplainArguments) -> Result<String, CommandError> {
    let away = |error: reqwest::Error| CommandError::Away(arguments.server.clone(), error);
    let mut url = arguments.server.clone();
    url.set_path("/v1/explain");
    url.query_pairs_mut()
        .append_pair("name", &arguments.name)
        .append_pair("type", &arguments.rtype);
    if let Some(client) = arguments.client {
        url.query_pairs_mut()
            .append_pair("client", &client.to_string());
    }
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .map_err(away)?;
    let response = client.get(url).send().await.map_err(away)?;
    let is_good = response.status().is_success();
    let text = response.text().await.map_err(away)?;
    match is_good {
        true => Ok(text),
        false => Err(CommandError::Refused(detail(&text))),
    }
}

/// What a problem says in words.
fn detail(problem: &str) -> String {
    let parsed: Option<serde_json::Value> = serde_json::from_str(problem).ok();
    let detail = parsed
        .as_ref()
        .and_then(|problem| problem["detail"].as_str());
    detail.unwrap_or(problem).to_owned()
}

fn print(explanation: &Explanation, out: &mut impl Write) -> io::Result<()> {
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
        print_instance(instance, out)?;
    }
    if *more != 0 {
        writeln!(out, "and {more} instances more")?;
    }
    Ok(())
}

fn print_instance(instance: &ExplainedInstance, out: &mut impl Write) -> io::Result<()> {
    let place = if instance.is_in { "in " } else { "out" };
    let why = instance
        .why
        .as_deref()
        .map_or(String::new(), |why| format!(": {why}"));
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
        .map_or(String::new(), |output| format!(" ({output})"));
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
    )
}
