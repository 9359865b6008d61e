//! What a question is about: how its name is read, and which services and instances
//! it concerns. For explanations; answering has no need of words.

use std::sync::Arc;

use super::owner::{Owner, Selection};
use super::rr::RecordType;
use super::zone::Zone;
use super::zones::{Closest, Zones};
use crate::name::{DomainName, Labels};
use crate::registry::Registry;
use crate::registry::instance::Instance;
use crate::registry::view::ServiceView;

/// What a question is about.
pub(super) struct Subject {
    /// How its name was read.
    pub(super) reading: String,
    /// The discovery zone, when it's the one.
    pub(super) zone: Option<DomainName>,
    /// The services that it's about.
    pub(super) views: Vec<Arc<ServiceView>>,
    /// Which instances of a service the name selects.
    selection: Option<OwnSelection>,
    /// The one instance that it's about.
    pub(super) only: Option<String>,
}

/// A selection, by the name that was asked for.
struct OwnSelection {
    labels: Vec<Vec<u8>>,
}

impl OwnSelection {
    fn with<T>(&self, look: impl FnOnce(&Selection<'_>) -> T) -> Option<T> {
        let labels: Vec<&[u8]> = self.labels.iter().map(Vec::as_slice).collect();
        match Owner::parse(&labels) {
            Owner::Service { selection, .. } => Some(look(&selection)),
            _ => None,
        }
    }
}

impl Subject {
    /// What the question for `name` and `rtype` is about.
    pub(super) fn of(
        zones: &Zones,
        registry: &Registry,
        name: &DomainName,
        rtype: RecordType,
    ) -> Self {
        let name = name.folded();
        let mut subject = Self {
            reading: String::new(),
            zone: None,
            views: Vec::new(),
            selection: None,
            only: None,
        };
        match zones.closest(name.as_wire(), rtype) {
            None => subject.reading = "a name outside of all zones of this server".to_owned(),
            Some(Closest::Static(zone)) => {
                subject.reading = format!("a name in the static zone {}", zone.origin());
            }
            Some(Closest::Reverse(_)) => {
                subject.reading = "an address in a reverse zone".to_owned();
            }
            Some(Closest::Discovery(zone)) => {
                let own_len = name.as_wire().len() - zone.origin.as_wire().len();
                let labels: Vec<&[u8]> = Labels::of_wire(&name.as_wire()[..own_len]).collect();
                let is_static = |zone: &Zone| zone.contains(name.as_wire());
                match !labels.is_empty() && zone.statics.iter().any(is_static) {
                    true => subject.reading = "a static name".to_owned(),
                    false => subject.read(registry, &labels, rtype),
                }
                subject.reading += &format!(" in the discovery zone {}", zone.origin);
                subject.zone = Some(zone.origin.clone());
            }
        }
        subject
    }

    /// Whether the name selects an instance, if it selects some.
    pub(super) fn selects(&self, instance: &Instance) -> Option<bool> {
        self.selection
            .as_ref()?
            .with(|selection| selection.is_reached_by(instance) && selection.selects(instance))
    }

    fn read(&mut self, registry: &Registry, labels: &[&[u8]], rtype: RecordType) {
        let directory = registry.directory();
        let mut about = |service: &str| self.views.extend(directory.service(service));
        self.reading = match Owner::parse(labels) {
            Owner::Apex => "the zone itself".to_owned(),
            Owner::Transports => "a name above those of services by RFC 2782".to_owned(),
            Owner::Service {
                service,
                selection: Selection::Transport(transport),
            } if rtype == RecordType::PTR => {
                format!(
                    "instances of kind _{service}.{}, to browse",
                    transport.label()
                )
            }
            Owner::Service { service, selection } => {
                about(service);
                self.selection = Some(OwnSelection {
                    labels: labels.iter().map(|label| label.to_vec()).collect(),
                });
                format!("instances of service {service}{}", selected(&selection))
            }
            Owner::Instance { service, id } => {
                about(service);
                self.only = Some(id.to_owned());
                format!("instance {id} of service {service}")
            }
            Owner::Config(service) => {
                about(service);
                self.only = Some(String::new());
                format!("configuration values of service {service}")
            }
            Owner::GrpcConfig(service) => {
                about(service);
                self.only = Some(String::new());
                format!("gRPC's service config of service {service}")
            }
            Owner::Kinds => "kinds of what is registered, to browse".to_owned(),
            Owner::BrowsingDomain(_) => "the zone to browse in".to_owned(),
            Owner::OfKind {
                transport,
                kind,
                id,
            } => {
                for home in directory.homes(id) {
                    about(home.as_str());
                }
                self.only = Some(id.to_owned());
                format!("instance {id} of kind _{kind}.{}", transport.label())
            }
            Owner::Unknown => "a name that nothing registered can have".to_owned(),
        };
    }
}

/// What a selection asks for, behind the service.
fn selected(selection: &Selection<'_>) -> String {
    match selection {
        Selection::All => String::new(),
        Selection::Transport(transport) => format!(" over {}", transport.label()),
        Selection::Port(transport, port) => {
            format!(" with protocol or port {port} over {}", transport.label())
        }
        Selection::Tags(pairs, open) => {
            let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let open = open.map_or("", |_| ", above further ones");
            format!(" with tags {}{open}", pairs.join(", "))
        }
        Selection::Version(parts) => format!(" of version {}", parts.join(".")),
        Selection::Locality(locality) => format!(" in locality {locality}"),
        Selection::Between(_) => ", a name above those that select some".to_owned(),
    }
}
