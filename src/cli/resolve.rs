//! `namebeat resolve`: with a type, one question and its answer as `dig` prints it;
//! without, what a client would dial, and which of it.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;

use namebeat::dns::rr::RecordType;
use namebeat::dns::text::message::message;
use namebeat::dns::zone;
use namebeat::name::DomainName;
use namebeat::server::answer_from_file;
use namebeat::time::Clock;

use super::api_server::ASKING;
use super::ask::{self, DnsArguments, DnsServer};
use super::endpoints::{self, Endpoints};
use super::{CommandError, progress, zone_name};

/// What to ask, and whom.
#[derive(clap::Args)]
pub(super) struct ResolveArguments {
    /// Name, taken as absolute with or without its final dot; a service alone is in the discovery zone
    name: String,
    /// Record type, such as SRV or TYPE65280; without one, print the endpoints that SRV leads to
    #[arg(value_name = "TYPE")]
    rtype: Option<RecordType>,
    /// Answer from this master file, and ask nobody; the type is A unless one is given
    #[arg(long, value_name = "FILE", conflicts_with_all = ["server", "tcp", "json"])]
    zone_file: Option<PathBuf>,
    #[command(flatten)]
    server: DnsArguments,
    /// Ask over TCP at once
    #[arg(long)]
    tcp: bool,
    /// Print the endpoints as JSON
    #[arg(long, conflicts_with = "rtype")]
    json: bool,
}

/// Asks, and prints what comes of it.
pub(super) fn run(arguments: ResolveArguments) -> Result<(), CommandError> {
    let server = arguments.server.server()?;
    let name = name(&arguments.name, &server.zone)?;
    match (&arguments.zone_file, arguments.rtype) {
        (None, None) => endpoints(&server, &name, &arguments),
        (_, rtype) => answer(&server, &name, rtype.unwrap_or(RecordType::A), &arguments),
    }
}

/// One label without a dot is a service of the zone.
fn name(text: &str, zone: &DomainName) -> Result<DomainName, CommandError> {
    let name = match text.contains('.') {
        true => zone_name(text),
        false => DomainName::parse(text, Some(zone)),
    };
    name.map_err(|error| CommandError::Refused(format!("{text:?} {error}")))
}

/// Prints the endpoints of a name.
fn endpoints(
    server: &DnsServer,
    name: &DomainName,
    arguments: &ResolveArguments,
) -> Result<(), CommandError> {
    let found: Endpoints = {
        let (addresses, name, tcp) = (server.addresses.clone(), name.clone(), arguments.tcp);
        progress::blocking(ASKING, move || endpoints::find(&addresses, &name, tcp))??
    };
    match arguments.json {
        true => super::output::json(&found)?,
        false => {
            // Whoever closes the pipe has read enough.
            let _ = found.print(super::output::Paint::of_stdout(), &mut io::stdout().lock());
        }
    }
    Ok(())
}

/// Prints the response, whatever it says.
fn answer(
    server: &DnsServer,
    name: &DomainName,
    rtype: RecordType,
    arguments: &ResolveArguments,
) -> Result<(), CommandError> {
    let query = ask::query(name, rtype);
    let clock = Clock::start();
    let started = clock.now();
    let (response, from) = match &arguments.zone_file {
        Some(file) => {
            let zone = zone::load_file(file, None, &server.zone)?.0;
            let response = answer_from_file(zone, &server.zone, &query)?;
            (response, file.display().to_string())
        }
        None => {
            let (addresses, tcp) = (server.addresses.clone(), arguments.tcp);
            let asking = move || ask::ask_any(&addresses, &query, tcp);
            let response = progress::blocking(ASKING, asking)??;
            (response.octets, source(response.from, response.over))
        }
    };
    let took = (clock.now().as_nanos() - started.as_nanos()) / 1_000_000;
    let text = message(&response)
        .map_err(|error| CommandError::System(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    let _ = write!(
        io::stdout(),
        "{text}\n;; Query time: {took} msec\n;; SERVER: {from}\n;; MSG SIZE  rcvd: {}\n",
        response.len()
    );
    Ok(())
}

/// A server as `dig` names it.
fn source(server: SocketAddr, over: &str) -> String {
    let (port, ip) = (server.port(), server.ip());
    format!("{ip}#{port}({ip}) ({over})")
}
