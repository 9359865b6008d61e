//! All zones this server has authority over, and which one a name belongs to.
//!
//! The discovery zone is one of them. Its names come from the registry; a file
//! with its origin adds static ones. Where it has no NS of its own, `ns.Z` is
//! made up, with the addresses that DNS listens on. Reverse zones have its NS.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::discovery::SoaFields;
use super::master::{self, MasterError};
use super::owner::Owner;
use super::reverse::{ReverseNetworks, ReverseZone};
use super::rr::{RecordType, RrSet};
use super::ttl::Ttl;
use super::zone::{self, LoadError, Zone, ZoneError, ZoneKind};
use crate::name::{DomainName, Labels, MAX_LABEL_LEN, MAX_NAME_LEN, NameError, wire_is_within};
use crate::network::Network;
use crate::registry::directory::Directory;
use crate::registry::instance::Instance;

/// REFRESH, RETRY and EXPIRE of the discovery zone, seconds, unless its file has an SOA.
const SOA_TIMERS: [u32; 3] = [3600, 600, 86_400];

/// Every zone, by origin.
#[derive(Debug)]
pub struct Zones {
    discovery: DiscoveryZone,
    others: HashMap<DomainName, Zone>,
    reverse: HashMap<DomainName, ReverseZone>,
    /// Labels of the longest origin.
    depth: usize,
}

/// The discovery zone: what is registered, and static names beside it.
#[derive(Debug)]
pub struct DiscoveryZone {
    /// The zone's name, lower case.
    pub origin: DomainName,
    /// Static names: those of its file, if there is one, then those made up.
    pub statics: Vec<Zone>,
    /// Its SOA but for the serial.
    pub soa: SoaFields,
    /// TTL of negative answers, unless a service has its own.
    pub negative_ttl: Duration,
}

/// The zone that a name belongs to.
#[derive(Clone, Copy, Debug)]
pub enum Closest<'z> {
    /// The one that is answered from the registry.
    Discovery(&'z DiscoveryZone),
    /// One that was loaded from a file.
    Static(&'z Zone),
    /// One of addresses of what is registered.
    Reverse(&'z ReverseZone),
}

/// Why zones can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ZoneLoadError {
    /// A file or the directory.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The names made up for the discovery zone.
    #[error("the discovery zone can't have that name: {0}")]
    Name(#[from] NameError),
    /// The records made up for the discovery zone.
    #[error("the discovery zone can't be made: {0}")]
    Master(#[from] MasterError),
    /// The zone made up for the discovery zone.
    #[error("the discovery zone can't be made: {0}")]
    Zone(#[from] ZoneError),
    /// A file holds a zone that is to be made of registered addresses.
    #[error("{}: the zone {origin} is that of {network} in reverse_zones; take one of them away", path.display())]
    ReverseIsStatic {
        /// The file.
        path: PathBuf,
        /// The zone.
        origin: DomainName,
        /// The network.
        network: Network,
    },
    /// The discovery zone would be one of registered addresses, too.
    #[error(
        "zone and reverse_zones: {origin} is the discovery zone, and that of {network}; take one of them away"
    )]
    ReverseIsDiscovery {
        /// The zone.
        origin: DomainName,
        /// The network.
        network: Network,
    },
}

/// What zones are made of.
#[derive(Clone, Debug)]
pub struct ZoneSource {
    /// Where the files of static zones are.
    pub dir: Option<PathBuf>,
    /// The discovery zone.
    pub origin: DomainName,
    /// Where this server is found, for a discovery zone whose file names none.
    pub nameservers: Vec<IpAddr>,
    /// TTL of negative answers from the discovery zone.
    pub negative_ttl: Duration,
    /// Networks whose addresses lead to the names of what is registered there.
    pub reverse: ReverseNetworks,
}

impl ZoneSource {
    /// Loads all files and makes the discovery zone. Gives back what is odd about
    /// the files, too.
    ///
    /// # Errors
    ///
    /// One file that is no zone is enough: a zone that is missing is an outage
    /// that nobody would see.
    pub fn load(&self) -> Result<(Zones, Vec<String>), ZoneLoadError> {
        let mut warnings = Vec::new();
        let mut loaded = Vec::new();
        let files = self
            .dir
            .as_deref()
            .map(|dir| zone::load_dir(dir, &self.origin))
            .transpose()?
            .unwrap_or_default();
        for file in files {
            let (zone, odd) = file.zone?;
            warnings.extend(odd.iter().map(ToString::to_string));
            loaded.push((file.path, zone));
        }
        Ok((Zones::make(self, loaded)?, warnings))
    }
}

impl Zones {
    /// Loads the files of `dir`, if any, and makes the discovery zone `origin`,
    /// whose server is found at `nameservers`, and no reverse zones: see
    /// [`ZoneSource::load`].
    pub fn load(
        dir: Option<&Path>,
        origin: &DomainName,
        nameservers: &[IpAddr],
        negative_ttl: Duration,
    ) -> Result<(Self, Vec<String>), ZoneLoadError> {
        let source = ZoneSource {
            dir: dir.map(Path::to_owned),
            origin: origin.clone(),
            nameservers: nameservers.to_vec(),
            negative_ttl,
            reverse: ReverseNetworks::default(),
        };
        source.load()
    }

    /// These zones, each of an origin of its own, and what `source` has beside files.
    pub fn of(zones: Vec<Zone>, source: &ZoneSource) -> Result<Self, ZoneLoadError> {
        let zones = zones.into_iter().map(|zone| (PathBuf::new(), zone));
        Self::make(source, zones.collect())
    }

    fn make(source: &ZoneSource, zones: Vec<(PathBuf, Zone)>) -> Result<Self, ZoneLoadError> {
        let origin = source.origin.folded();
        let networks: HashMap<DomainName, Network> = source
            .reverse
            .origins()
            .map(|(network, origin)| (origin, network))
            .collect();
        let mut others = HashMap::new();
        let mut statics = Vec::new();
        for (path, zone) in zones {
            if let Some(network) = networks.get(zone.origin()) {
                return Err(ZoneLoadError::ReverseIsStatic {
                    path,
                    origin: zone.origin().clone(),
                    network: *network,
                });
            }
            if *zone.origin() == origin {
                // Its apex NS must name servers; without any, one is made up below.
                statics.push(zone);
            } else {
                others.insert(zone.origin().clone(), zone);
            }
        }
        if let Some(network) = networks.get(&origin) {
            return Err(ZoneLoadError::ReverseIsDiscovery {
                origin,
                network: *network,
            });
        }
        if !statics.iter().any(|zone| apex_ns(zone).is_some()) {
            statics.push(made_up(&origin, &source.nameservers)?);
        }
        let soa = match statics.iter().find_map(Zone::soa) {
            Some(soa) => fields_of(soa.rdata(0)).unwrap_or(default_soa(&origin)?),
            None => default_soa(&origin)?,
        };
        let no_ns = RrSet::new(origin.clone(), RecordType::NS, Ttl::ZERO);
        let ns = statics.iter().find_map(apex_ns).unwrap_or(&no_ns);
        let made = networks.into_iter().map(|(name, network)| {
            let services = origin.clone();
            let negative_ttl = source.negative_ttl;
            let zone = ReverseZone::new(
                network,
                name.clone(),
                services,
                soa.clone(),
                ns,
                negative_ttl,
            );
            (name, zone)
        });
        let reverse: HashMap<DomainName, ReverseZone> = made.collect();
        let depth = others
            .keys()
            .chain(reverse.keys())
            .chain([&origin])
            .map(|name| name.labels().count())
            .max();
        let discovery = DiscoveryZone {
            origin,
            statics,
            soa,
            negative_ttl: source.negative_ttl,
        };
        Ok(Self {
            discovery,
            others,
            reverse,
            depth: depth.unwrap_or(0),
        })
    }

    /// The zone with the longest origin that `name` is in (RFC 1034 §4.3.2, step
    /// 2). DS of an origin belongs to the zone above it (RFC 4035 §3.1.4.1).
    ///
    /// `name` is in uncompressed wire form and lower case.
    pub fn closest(&self, name: &[u8], qtype: RecordType) -> Option<Closest<'_>> {
        let labels = Labels::of_wire(name).count();
        let mut rest = name;
        let mut depth = labels;
        loop {
            let parents = qtype == RecordType::DS && depth == labels;
            if depth <= self.depth
                && let Some(zone) = self.at(rest)
                && !(parents && self.is_inside_another(rest))
            {
                return Some(zone);
            }
            if depth == 0 {
                return None;
            }
            rest = &rest[1 + usize::from(rest[0])..];
            depth -= 1;
        }
    }

    /// The discovery zone.
    pub(super) fn discovery(&self) -> &DiscoveryZone {
        &self.discovery
    }

    fn at(&self, origin: &[u8]) -> Option<Closest<'_>> {
        if origin == self.discovery.origin.as_wire() {
            return Some(Closest::Discovery(&self.discovery));
        }
        let of_file = self.others.get(origin).map(Closest::Static);
        of_file.or_else(|| self.reverse.get(origin).map(Closest::Reverse))
    }

    fn is_inside_another(&self, origin: &[u8]) -> bool {
        let parent = origin
            .get(1 + usize::from(origin[0])..)
            .filter(|rest| !rest.is_empty());
        origin[0] != 0 && parent.is_some_and(|name| self.closest(name, RecordType::A).is_some())
    }

    /// How many zones there are, the discovery zone and reverse zones included.
    pub fn count(&self) -> usize {
        self.others.len() + self.reverse.len() + 1
    }

    /// A static name that something registered has, if there is one: what
    /// [`Zones::collision`] looks for, the other way round.
    pub fn taken(&self, directory: &Directory) -> Option<String> {
        let zone = &self.discovery.origin;
        let names = self.discovery.statics.iter().flat_map(Zone::names);
        let origins = self.others.keys().map(DomainName::as_wire);
        let mut inside = names
            .chain(origins)
            .filter(|name| name.len() > zone.as_wire().len())
            .filter(|name| wire_is_within(name, zone.as_wire()));
        let taken = inside.find(|name| is_registered(name, zone, directory))?;
        DomainName::from_wire(taken)
            .ok()
            .map(|name| name.to_string())
    }

    /// The static name that `instance` would stand beside, if there is one.
    pub fn collision(&self, instance: &Instance) -> Option<String> {
        let zone = &self.discovery.origin;
        let (service, id) = (instance.service.as_str(), instance.id.as_str());
        let transport: &[u8] = if instance.protocol.is_udp() {
            b"_udp"
        } else {
            b"_tcp"
        };
        let mut underscored = [b'_'; 1 + MAX_LABEL_LEN];
        let underscored = &mut underscored[..=service.len()];
        underscored[1..].copy_from_slice(service.as_bytes());
        let names: [&[&[u8]]; 3] = [
            &[service.as_bytes()],
            &[id.as_bytes(), service.as_bytes()],
            &[underscored, transport],
        ];
        let mut wire = [0; MAX_NAME_LEN];
        for labels in names {
            // What is no name is nobody's.
            let Ok(name) = zone.write_below(labels, &mut wire) else {
                continue;
            };
            let mut statics = self.discovery.statics.iter();
            if self.others.contains_key(name) || statics.any(|zone| zone.contains(name)) {
                return DomainName::from_wire(name)
                    .ok()
                    .map(|name| name.to_string());
            }
        }
        None
    }
}

/// Whether `name`, one in `zone`, is that of a service, of an instance, or of a
/// service by RFC 2782.
fn is_registered(name: &[u8], zone: &DomainName, directory: &Directory) -> bool {
    let own = &name[..name.len() - zone.as_wire().len()];
    let labels: Vec<&[u8]> = Labels::of_wire(own).collect();
    match Owner::parse(&labels) {
        Owner::Instance { service, id } => directory
            .service(service)
            .is_some_and(|view| view.member(id).is_some()),
        Owner::Service { service, selection } => directory.service(service).is_some_and(|view| {
            view.members
                .iter()
                .any(|member| selection.is_reached_by(member.instance()))
        }),
        Owner::Apex | Owner::Transports | Owner::Unknown => false,
        // Static names may stand in front of these.
        Owner::Kinds | Owner::BrowsingDomain(_) | Owner::OfKind { .. } => false,
        Owner::Config(_) | Owner::GrpcConfig(_) => false,
    }
}

fn apex_ns(zone: &Zone) -> Option<&RrSet> {
    zone.rrsets(zone.origin().as_wire())
        .iter()
        .find(|set| set.rtype == RecordType::NS)
}

/// The NS of a discovery zone whose file names none. An address that clients
/// can't dial, such as `0.0.0.0`, is left out.
fn made_up(origin: &DomainName, nameservers: &[IpAddr]) -> Result<Zone, ZoneLoadError> {
    let mut text = "@ 3600 NS ns\n".to_owned();
    for ip in nameservers.iter().filter(|ip| !ip.is_unspecified()) {
        let rtype = if ip.is_ipv4() { "A" } else { "AAAA" };
        // Writing into a string can't fail.
        let _ = writeln!(text, "ns 3600 {rtype} {ip}");
    }
    let file = Path::new("(made up)");
    let nothing = |_: &Path| Err(master::IncludeError::Outside);
    let records = master::parse(text.as_bytes(), file, origin, &nothing)?;
    Ok(Zone::build(&records, &ZoneKind::Overlay(origin.clone()))?.0)
}

/// `ns.Z` and `hostmaster.Z`.
fn default_soa(origin: &DomainName) -> Result<SoaFields, NameError> {
    let mut names = origin.prepend(b"ns")?.as_wire().to_vec();
    names.extend_from_slice(origin.prepend(b"hostmaster")?.as_wire());
    Ok(SoaFields {
        names,
        timers: SOA_TIMERS,
    })
}

/// What an SOA of a file fixes. The last 20 octets are the numbers, of which
/// the serial and the minimum are ours.
fn fields_of(rdata: &[u8]) -> Option<SoaFields> {
    let (names, numbers) = rdata.split_at_checked(rdata.len().checked_sub(20)?)?;
    let timer = |at: usize| Some(u32::from_be_bytes(*numbers.get(at..)?.first_chunk()?));
    Some(SoaFields {
        names: names.to_vec(),
        timers: [timer(4)?, timer(8)?, timer(12)?],
    })
}
