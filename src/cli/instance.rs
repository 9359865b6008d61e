//! An instance as flags and files describe it, for `register` and `exec`.
//!
//! Nothing is checked here that the server checks: it says which field is wrong. Only
//! what it can't know is filled in: an id and an address.

use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::path::{Path, PathBuf};

use namebeat::api::{Object, Registration};
use namebeat::client::Client;

use super::CommandError;
use super::check::CheckArguments;

/// Most octets of a label, and so of an id.
const MAX_LABEL_LEN: usize = 63;

/// Most octets of a file: as many as a body may have.
const MAX_FILE_LEN: u64 = 1 << 20;

/// Fields of an instance; those of the file stand where no flag is given.
#[derive(Debug, Default, clap::Args)]
pub(super) struct InstanceArguments {
    /// The service
    #[arg(long, value_name = "LABEL")]
    name: Option<String>,
    /// The instance [default: service, host name and port, such as web-box7-8080]
    #[arg(long, value_name = "LABEL")]
    id: Option<String>,
    /// IP address or host name [default: the address that this machine has towards the server]
    #[arg(long, value_name = "HOST", conflicts_with = "address")]
    host: Option<String>,
    /// One of up to 8 IP addresses, instead of a host; repeat it
    #[arg(long, value_name = "IP")]
    address: Vec<String>,
    /// The port that clients dial
    #[arg(long, value_name = "PORT")]
    port: Option<i64>,
    /// A further port by name; repeat it
    #[arg(long = "named-port", value_name = "NAME=PORT", value_parser = named_port)]
    ports: Vec<(String, i64)>,
    /// http, https, grpc, tcp or udp [default: http]
    #[arg(long, value_name = "PROTOCOL")]
    protocol: Option<String>,
    /// Version, such as 1.4.2
    #[arg(long, value_name = "TEXT")]
    version: Option<String>,
    /// A tag, which names and filters select; repeat it
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = pair)]
    tags: Vec<(String, String)>,
    /// Metadata, which TXT shows; repeat it
    #[arg(long = "metadata", value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// SRV weight [default: 256]
    #[arg(long, value_name = "NUMBER")]
    weight: Option<i64>,
    /// SRV priority [default: 10]
    #[arg(long, value_name = "NUMBER")]
    priority: Option<i64>,
    /// Where it runs, such as eu-west-1a
    #[arg(long, value_name = "LABEL")]
    locality: Option<String>,
    /// How long it stays listed without a heartbeat, or none, which needs a check [default: 30s]
    #[arg(long, value_name = "SPAN")]
    lease: Option<String>,
    #[command(flatten)]
    check: CheckArguments,
    /// JSON of an instance, as the API has it; - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl InstanceArguments {
    /// The instances that file and flags describe: one, or those of a file with an array.
    pub(super) fn registrations(&self, client: &Client) -> Result<Vec<Registration>, CommandError> {
        let mut registrations = match &self.file {
            Some(file) => read(file)?,
            None => vec![Registration::default()],
        };
        if registrations.len() != 1 && self.id.is_some() {
            return Err(CommandError::Refused(
                "--file has an array, whose items can't all have the id of --id".to_owned(),
            ));
        }
        for registration in &mut registrations {
            self.lay_over(registration)?;
            fill_in(registration, client)?;
        }
        Ok(registrations)
    }

    /// The one instance that file and flags describe.
    pub(super) fn registration(&self, client: &Client) -> Result<Registration, CommandError> {
        let mut registrations = self.registrations(client)?;
        match (registrations.pop(), registrations.is_empty()) {
            (Some(one), true) => Ok(one),
            _ => Err(CommandError::Refused(
                "--file has an array, where one instance was expected".to_owned(),
            )),
        }
    }

    /// Puts what flags say over what the file does.
    fn lay_over(&self, registration: &mut Registration) -> Result<(), CommandError> {
        over(&mut registration.id, &self.id);
        over(&mut registration.name, &self.name);
        over(&mut registration.version, &self.version);
        over(&mut registration.protocol, &self.protocol);
        over(&mut registration.locality, &self.locality);
        over(&mut registration.port, &self.port);
        over(&mut registration.weight, &self.weight);
        over(&mut registration.priority, &self.priority);
        if self.host.is_some() {
            registration.host.clone_from(&self.host);
            registration.addresses = None;
        }
        if !self.address.is_empty() {
            registration.addresses = Some(self.address.clone());
            registration.host = None;
        }
        registration.ports.extend(self.ports.iter().cloned());
        registration.tags.extend(self.tags.iter().cloned());
        registration.metadata.extend(self.metadata.iter().cloned());
        if let Some(lease) = &self.lease {
            registration.lease = Some(Some(lease.clone()).filter(|lease| lease != "none"));
        }
        self.check.lay_over(&mut registration.health_check)
    }
}

/// Puts a flag over a field; says whether it was given.
pub(super) fn over<T: Clone>(field: &mut Option<T>, flag: &Option<T>) -> bool {
    if flag.is_some() {
        field.clone_from(flag);
    }
    flag.is_some()
}

/// Reads an instance or an array of them.
fn read(file: &Path) -> Result<Vec<Registration>, CommandError> {
    let wrong = |text: String| CommandError::Refused(format!("{}: {text}", file.display()));
    let mut octets = Vec::new();
    let source: io::Result<Box<dyn io::Read>> = match file.as_os_str() == "-" {
        true => Ok(Box::new(io::stdin().lock())),
        false => std::fs::File::open(file).map(|file| Box::new(file) as _),
    };
    source
        .and_then(|source| source.take(MAX_FILE_LEN + 1).read_to_end(&mut octets))
        .map_err(|error| wrong(format!("can't be read: {error}")))?;
    if octets.len() as u64 > MAX_FILE_LEN {
        return Err(wrong(format!("is longer than {MAX_FILE_LEN} octets")));
    }
    let is_array = octets.iter().find(|octet| !octet.is_ascii_whitespace()) == Some(&b'[');
    let mut json = serde_json::Deserializer::from_slice(&octets);
    let read = match is_array {
        true => serde_path_to_error::deserialize::<_, Vec<Object<Registration>>>(&mut json)
            .map(|all| all.into_iter().map(|Object(one)| one).collect()),
        false => serde_path_to_error::deserialize::<_, Object<Registration>>(&mut json)
            .map(|Object(one)| vec![one]),
    };
    // The error names the field, with line and column.
    let registrations: Vec<Registration> = read.map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." {
            String::new()
        } else {
            format!("{path}: ")
        };
        wrong(format!("{place}{}", error.inner()))
    })?;
    json.end().map_err(|error| wrong(error.to_string()))?;
    if registrations.is_empty() {
        return Err(wrong("the array is empty".to_owned()));
    }
    Ok(registrations)
}

/// Sets an address and an id where there's none.
fn fill_in(registration: &mut Registration, client: &Client) -> Result<(), CommandError> {
    let missing = |flag| {
        CommandError::Refused(format!(
            "an instance needs --name and --port, or a --file with them; {flag} is missing"
        ))
    };
    let name = registration
        .name
        .as_ref()
        .ok_or_else(|| missing("--name"))?;
    let port = registration.port.ok_or_else(|| missing("--port"))?;
    if registration.id.is_none() {
        registration.id = Some(default_id(name, &host_name(), port));
    }
    if registration.host.is_none() && registration.addresses.is_none() {
        let own = own_address(client.server()).ok_or_else(|| {
            let server = client.server();
            CommandError::Refused(format!(
                "this machine has no address towards {server}; name one with --host"
            ))
        })?;
        registration.host = Some(own.to_string());
    }
    Ok(())
}

/// The address that this machine has towards a server. Nothing is sent for that.
fn own_address(server: &str) -> Option<IpAddr> {
    let url = reqwest::Url::parse(server).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let remote = (host, url.port_or_known_default()?)
        .to_socket_addrs()
        .ok()?
        .next()?;
    let local: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((local, 0)).ok()?;
    socket.connect(remote).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// An id of service, host name and port. It stays the same when a program starts again,
/// and so replaces what it left.
fn default_id(name: &str, host: &str, port: i64) -> String {
    let host = host.split('.').next().unwrap_or_default();
    let label = |c: char| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_lowercase(),
        false => '-',
    };
    let host: String = host.chars().map(label).collect();
    let port = port.to_string();
    let room = MAX_LABEL_LEN.saturating_sub(name.len() + port.len() + 2);
    let host = host.trim_matches('-');
    let host = host[..host.len().min(room)].trim_end_matches('-');
    match host.is_empty() {
        true => format!("{name}-{port}"),
        false => format!("{name}-{host}-{port}"),
    }
}

/// Reads `KEY=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, such as env=prod".to_owned()),
    }
}

/// Reads `NAME=PORT`.
fn named_port(text: &str) -> Result<(String, i64), String> {
    let read = pair(text)
        .ok()
        .and_then(|(name, port)| Some((name, port.parse().ok()?)));
    read.ok_or_else(|| "write NAME=PORT, such as metrics=9100".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_labels() {
        for (name, host, expected) in [
            ("web", "box7", "web-box7-8080"),
            ("web", "Box_7.example.org", "web-box-7-8080"),
            ("web", "", "web-8080"),
            ("web", "---", "web-8080"),
        ] {
            assert_eq!(default_id(name, host, 8080), expected);
        }
        let long = default_id("web", &"a".repeat(200), 8080);
        assert_eq!((long.len(), &long[..6]), (MAX_LABEL_LEN, "web-aa"));
        let cut = default_id(
            "web",
            &format!("{}-{}", "a".repeat(53), "b".repeat(9)),
            8080,
        );
        assert!(cut.ends_with("a-8080"), "{cut}");
    }

    #[test]
    fn flags_go_over_the_file() {
        let mut registration = Registration {
            host: Some("10.0.0.1".to_owned()),
            lease: Some(Some("1m".to_owned())),
            ..Registration::default()
        };
        let mut flags = InstanceArguments {
            address: vec!["10.0.0.2".to_owned()],
            lease: Some("none".to_owned()),
            ..InstanceArguments::default()
        };
        flags.check.check = true;
        let none = InstanceArguments::default();
        none.lay_over(&mut registration).unwrap();
        assert_eq!(registration.host.as_deref(), Some("10.0.0.1"));
        assert!(registration.health_check.is_none());
        flags.lay_over(&mut registration).unwrap();
        assert_eq!(registration.host, None);
        assert_eq!(registration.addresses, Some(vec!["10.0.0.2".to_owned()]));
        assert_eq!(registration.lease, Some(None));
        assert!(registration.health_check.is_some());
    }
}
