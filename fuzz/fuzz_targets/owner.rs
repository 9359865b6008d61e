//! Any labels as an owner name of the discovery zone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use namebeat::api::Registration;
use namebeat::dns::owner::Owner;
use namebeat::registry::instance::Instance;

fuzz_target!(|octets: &[u8]| {
    let labels: Vec<&[u8]> = octets.split(|octet| *octet == b'.').collect();
    let Owner::Service { selection, .. } = Owner::parse(&labels) else {
        return;
    };
    let registration = Registration {
        id: Some("web-1".to_owned()),
        name: Some("web".to_owned()),
        host: Some("192.0.2.1".to_owned()),
        port: Some(80),
        version: Some("1.4.2".to_owned()),
        tags: [("env".to_owned(), "prod".to_owned())].into(),
        locality: Some("eu-1".to_owned()),
        ..Registration::default()
    };
    let instance = Instance::try_from(registration).unwrap();
    let _ = (selection.is_reached_by(&instance), selection.selects(&instance));
    let _ = (selection.port(&instance), selection.is_srv_only(), selection.has_no_end());
});
