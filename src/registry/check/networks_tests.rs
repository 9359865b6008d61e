//! Tests of where probes may go.

use super::*;

fn networks(texts: &[&str]) -> CheckNetworks {
    CheckNetworks::new(texts.iter().map(|text| text.parse().unwrap()).collect())
}

fn permits(networks: &CheckNetworks, target: &str, registrant: Option<&str>) -> bool {
    let registrant = registrant.map(|text| text.parse().unwrap());
    networks.permit(target.parse().unwrap(), registrant).is_ok()
}

#[test]
fn every_network_of_this_file_can_be_read() {
    for texts in [&PRIVATE[..], &LOOPBACK, &ANY, &NEVER] {
        assert_eq!(parsed(texts).len(), texts.len(), "{texts:?}");
    }
}

#[test]
fn by_default_only_what_is_near_is_probed() {
    let default = CheckNetworks::default();
    for near in [
        "10.1.2.3",
        "172.31.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "::1",
        "fd00::1",
    ] {
        assert!(permits(&default, near, None), "{near}");
    }
    for far in [
        "8.8.8.8",
        "203.0.113.5",
        "172.32.0.1",
        "2001:db8::1",
        "::ffff:8.8.8.8",
    ] {
        assert!(!permits(&default, far, Some("10.0.0.1")), "{far}");
        assert!(permits(&default, far, Some(far)), "{far} is the registrant");
    }
}

#[test]
fn metadata_is_never_probed_whatever_is_set() {
    let any = networks(&["any", "registrant", "169.254.0.0/16", "fe80::/10"]);
    for never in [
        "169.254.169.254",
        "169.254.1.1",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "fe80::1",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd00:a9fe:a9fe::1",
        "fd00:42::42",
        "fd00:c1::a9fe:a9fe",
        "fd00:100::100:200",
        "64:ff9b:1::a9fe:a9fe",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "224.0.0.1",
        "255.255.255.255",
        "ff02::1",
    ] {
        assert!(!permits(&any, never, Some(never)), "{never}");
    }
    for fine in ["8.8.8.8", "2001:db8::1", "127.0.0.1", "::1", "fd00:ec2::1"] {
        assert!(permits(&any, fine, None), "{fine}");
    }
}

#[test]
fn what_is_set_is_what_counts() {
    let only = networks(&["203.0.113.0/24"]);
    assert!(permits(&only, "203.0.113.9", None));
    assert!(
        !permits(&only, "127.0.0.1", Some("127.0.0.1")),
        "registrant isn't set"
    );
    let error = only.permit("10.0.0.1".parse().unwrap(), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "10.0.0.1 is in no network that may be probed (check_networks: 203.0.113.0/24)"
    );
}

#[test]
fn rules_are_written_as_they_are_read() {
    for text in [
        "private",
        "loopback",
        "registrant",
        "any",
        "10.0.0.0/8",
        "2001:db8::7",
    ] {
        assert_eq!(text.parse::<CheckNetwork>().unwrap().to_string(), text);
    }
    for text in ["", "public", "10.0.0.1/8", "example.com"] {
        assert_eq!(
            text.parse::<CheckNetwork>(),
            Err(CheckNetworkError),
            "{text}"
        );
    }
}
