//! `namebeat check-zone`.

use std::io::Write as _;
use std::path::PathBuf;

use namebeat::dns::zone::{self, Zone};
use namebeat::name::DomainName;

use super::{CommandError, zone_name};

/// What to check.
#[derive(clap::Args)]
pub(super) struct CheckZoneArguments {
    /// Master file; its name without `.zone` is the origin that names are relative to
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Origin of a file that isn't called after its zone
    #[arg(long, value_name = "NAME", value_parser = zone_name)]
    origin: Option<DomainName>,
    /// The discovery zone, whose file needs no SOA
    #[arg(
        long,
        env = "NAMEBEAT_ZONE",
        value_name = "NAME",
        default_value = "svc.internal.",
        value_parser = zone_name
    )]
    zone: DomainName,
}

/// Reads each file as the server would. Warnings go to stderr; one line a zone to stdout.
pub(super) fn run(arguments: CheckZoneArguments) -> Result<(), CommandError> {
    for file in &arguments.files {
        let origin = arguments.origin.as_ref();
        let (zone, warnings) = zone::load_file(file, origin, &arguments.zone)?;
        for warning in warnings {
            eprintln!("namebeat: warning: {warning}");
        }
        // Whoever closes the pipe has read enough.
        let _ = writeln!(std::io::stdout(), "{}", summary(&zone));
    }
    Ok(())
}

fn summary(zone: &Zone) -> String {
    let (origin, names, records) = (zone.origin(), zone.name_count(), zone.record_count());
    match zone.serial() {
        Some(serial) => format!("{origin}: {names} names, {records} records, serial {serial}"),
        None => format!("{origin}: {names} names, {records} records, beside what is registered"),
    }
}
