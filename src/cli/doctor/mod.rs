//! `namebeat doctor`: does this machine find the zone, and if not, what is to be put where.
//!
//! ```text
//! machine (files) ─┐
//! probe (asks)    ─┼─▶ report
//! advice (lines)  ─┘
//! ```
//!
//! It changes nothing, and needs no rights that a program wouldn't have.

mod advice;
mod machine;
mod probe;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;

use namebeat::name::DomainName;
use serde::Serialize;

use self::advice::{Advice, Target};
use self::machine::{Machine, Place};
use self::probe::{Finding, Findings};
use super::ask::{DnsArguments, DnsServer};
use super::output::{self, Paint, Tone};
use super::{CommandError, zone_name};

/// What to look at.
#[derive(clap::Args)]
pub(super) struct DoctorArguments {
    /// Name of the zone to look up through the system [default: one that something registered has]
    #[arg(long, value_name = "NAME", value_parser = zone_name)]
    name: Option<DomainName>,
    /// Only say what to put there, for this machine or another, and ask nobody
    #[arg(long = "for", value_name = "PLACE", conflicts_with = "name")]
    place: Option<Place>,
    #[command(flatten)]
    server: DnsArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was found, for programs.
#[derive(Serialize)]
struct Report {
    ok: bool,
    server: SocketAddr,
    zone: String,
    findings: Findings,
    machine: Machine,
    /// For what this machine uses; empty when it finds the zone.
    advice: Vec<Advice>,
}

/// Looks, asks, and says what to do. Fails if this machine doesn't find the zone.
pub(super) fn run(arguments: DoctorArguments) -> Result<(), CommandError> {
    let server = arguments.server.server()?;
    let is_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let machine = Machine::read(Path::new("/"), is_pod);
    if let Some(place) = arguments.place {
        let advice = target(&server, &machine).advice(place);
        return match arguments.json {
            true => Ok(output::json(&advice)?),
            false => {
                // Whoever closes the pipe has read enough.
                let _ = print_advice(&advice, Paint::of_stdout(), &mut io::stdout().lock());
                Ok(())
            }
        };
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let probing = probe::probe(&server, &machine.nameservers, arguments.name.clone());
    let findings = runtime.block_on(probing);
    // A lookup that the system takes too long for is left behind.
    runtime.shutdown_background();
    let report = report(findings?, machine, &server);
    match arguments.json {
        true => output::json(&report)?,
        false => {
            let _ = print(&report, Paint::of_stdout(), &mut io::stdout().lock());
        }
    }
    let zone = &report.zone;
    match report.ok {
        true => Ok(()),
        false => Err(CommandError::Failed(format!(
            "this machine doesn't find {zone}"
        ))),
    }
}

fn report(findings: Findings, machine: Machine, server: &DnsServer) -> Report {
    let ok = findings.is_found();
    let target = target(server, &machine);
    Report {
        ok,
        server: server.addresses[0],
        zone: server.zone.to_string(),
        advice: match ok {
            true => Vec::new(),
            false => vec![target.advice(place(&machine, target.server.ip()))],
        },
        findings,
        machine,
    }
}

/// The place that decides. A server inside a container is nothing that the resolver around
/// it reaches: there it's the container's own `/etc/resolv.conf`.
fn place(machine: &Machine, server: IpAddr) -> Place {
    match machine.first() {
        Place::Docker | Place::Coredns if server.is_loopback() => Place::ResolvConf,
        place => place,
    }
}

fn target(server: &DnsServer, machine: &Machine) -> Target {
    let zone = server.zone.to_string();
    Target {
        server: server.addresses[0],
        zone: zone.trim_end_matches('.').to_owned(),
        upstream: machine.nameservers.clone(),
        outward: outward(&machine.nameservers),
        gateway: machine.gateway.filter(|_| machine.first() == Place::Docker),
    }
}

/// The address that this machine has towards others. Nothing is sent for that.
fn outward(nameservers: &[IpAddr]) -> Option<IpAddr> {
    // A network for documentation (RFC 5737) is routed as everything else is.
    let elsewhere = IpAddr::from(Ipv4Addr::new(192, 0, 2, 1));
    let known = nameservers
        .iter()
        .find(|ip| ip.is_ipv4() && !ip.is_loopback());
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((*known.unwrap_or(&elsewhere), 53)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

fn print(report: &Report, paint: Paint, out: &mut impl Write) -> io::Result<()> {
    for Finding { asked, ok, answer } in report.findings.all() {
        let sign = match ok {
            true => paint.text(Tone::Good, "ok"),
            false => paint.text(Tone::Bad, "no"),
        };
        writeln!(out, "{sign}  {asked}: {answer}")?;
    }
    if report.findings.system.is_empty() {
        let zone = &report.zone;
        writeln!(
            out,
            "--  nothing in {zone} has an address yet, so no name was looked up"
        )?;
    }
    writeln!(out, "\nNames are looked up here by:")?;
    for used in &report.machine.uses {
        writeln!(out, "  {}: {}", name(used.place), used.because)?;
    }
    if report.machine.uses.is_empty() {
        writeln!(out, "  nothing that is known: there's no /etc/resolv.conf")?;
    }
    for advice in &report.advice {
        writeln!(out)?;
        print_advice(advice, paint, out)?;
    }
    if report.ok {
        return Ok(());
    }
    writeln!(
        out,
        "\nFor another place, name it: namebeat doctor --for dnsmasq"
    )
}

fn print_advice(advice: &Advice, paint: Paint, out: &mut impl Write) -> io::Result<()> {
    let title = format!("{}:", name(advice.place));
    writeln!(out, "{}", paint.text(Tone::Title, &title))?;
    for file in &advice.files {
        writeln!(out, "\n# {}", file.path)?;
        for line in &file.lines {
            writeln!(out, "{line}")?;
        }
    }
    if !advice.commands.is_empty() {
        writeln!(out, "\n# then")?;
    }
    for command in &advice.commands {
        writeln!(out, "{command}")?;
    }
    writeln!(out)?;
    for note in &advice.notes {
        writeln!(out, "- {note}")?;
    }
    Ok(())
}

/// How people call a place.
fn name(place: Place) -> &'static str {
    match place {
        Place::SystemdResolved => "systemd-resolved",
        Place::Dnsmasq => "dnsmasq",
        Place::Unbound => "unbound",
        Place::NetworkManager => "NetworkManager",
        Place::ResolvConf => "/etc/resolv.conf",
        Place::Docker => "Docker",
        Place::Coredns => "Kubernetes' CoreDNS",
        Place::Macos => "macOS",
    }
}
