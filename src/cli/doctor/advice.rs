//! What to put where, so that a resolver asks namebeat for its zone: exact lines, for the
//! addresses at hand.
//!
//! Resolvers that raise TTLs would hold what has left, so nothing here lets them.
//! Pure: a target in, files and commands out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::Serialize;

use super::machine::Place;

/// Zones that systemd-resolved doesn't look for signatures in, whoever has them.
const UNSIGNED: [&str; 8] = [
    "internal", "test", "lan", "home", "corp", "intranet", "private", "local",
];

/// Zones that unbound answers by itself unless it's told not to.
const ANSWERED_BY_UNBOUND: [&str; 5] = ["internal", "test", "invalid", "onion", "home.arpa"];

/// Address of the machine as containers see it, where Docker's own settings stand.
const DOCKER_BRIDGE: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 1);

/// What is to be found, and where.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The server's address as this machine reaches it.
    pub(super) server: SocketAddr,
    /// The zone, without its final dot.
    pub(super) zone: String,
    /// Servers that this machine asks for everything else.
    pub(super) upstream: Vec<IpAddr>,
    /// An address of this machine that others reach, if there's one.
    pub(super) outward: Option<IpAddr>,
    /// Of a container, the machine that it runs on.
    pub(super) gateway: Option<Ipv4Addr>,
}

/// What to do at a place.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Advice {
    pub(super) place: Place,
    /// Files to write, or to add to.
    pub(super) files: Vec<File>,
    /// Commands after that.
    pub(super) commands: Vec<String>,
    /// What else to know.
    pub(super) notes: Vec<String>,
}

/// A file and lines of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) lines: Vec<String>,
}

impl File {
    fn new(path: &str, lines: Vec<String>) -> Self {
        let path = path.to_owned();
        Self { path, lines }
    }
}

impl Target {
    /// What to do at `place`.
    pub(super) fn advice(&self, place: Place) -> Advice {
        let mut advice = Advice {
            place,
            files: Vec::new(),
            commands: Vec::new(),
            notes: Vec::new(),
        };
        match place {
            Place::SystemdResolved => self.systemd_resolved(&mut advice),
            Place::Dnsmasq => self.dnsmasq(&mut advice),
            Place::Unbound => self.unbound(&mut advice),
            Place::NetworkManager => self.network_manager(&mut advice),
            Place::ResolvConf => self.resolv_conf(&mut advice),
            Place::Docker => self.docker(&mut advice),
            Place::Coredns => self.coredns(&mut advice),
            Place::Macos => self.macos(&mut advice),
        }
        advice
    }

    fn is_within(&self, zones: &[&'static str]) -> Option<&'static str> {
        let ends = |zone: &&&'static str| {
            let rest = self.zone.strip_suffix(**zone);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        zones.iter().find(ends).copied()
    }

    fn systemd_resolved(&self, advice: &mut Advice) {
        let Self { server, zone, .. } = self;
        let lines = vec![
            "[Resolve]".to_owned(),
            format!("DNS={server}"),
            format!("Domains=~{zone}"),
        ];
        let path = "/etc/systemd/resolved.conf.d/namebeat.conf";
        advice.files.push(File::new(path, lines));
        if self.is_within(&UNSIGNED).is_none() {
            // DNSSEC would find that nobody has signed it.
            let path = "/etc/dnssec-trust-anchors.d/namebeat.negative";
            advice.files.push(File::new(path, vec![zone.clone()]));
        }
        advice
            .commands
            .push("systemctl restart systemd-resolved".to_owned());
        advice
            .notes
            .push("systemd 246 or newer; older ones take no port".to_owned());
    }

    fn server_line(&self) -> String {
        let (ip, port) = (self.server.ip(), self.server.port());
        format!("server=/{}/{ip}#{port}", self.zone)
    }

    fn dnsmasq(&self, advice: &mut Advice) {
        let path = "/etc/dnsmasq.d/namebeat.conf";
        advice.files.push(File::new(path, vec![self.server_line()]));
        advice.commands.push("systemctl restart dnsmasq".to_owned());
        let zone = &self.zone;
        advice.notes.push(format!(
            "with stop-dns-rebind there, add rebind-domain-ok=/{zone}/"
        ));
        advice
            .notes
            .push("leave min-cache-ttl at 0, so that nothing is kept for too long".to_owned());
    }

    fn unbound(&self, advice: &mut Advice) {
        let zone = &self.zone;
        let mut lines = vec!["server:".to_owned()];
        if self.server.ip().is_loopback() {
            lines.push("    do-not-query-localhost: no".to_owned());
        }
        lines.push(format!("    domain-insecure: \"{zone}.\""));
        lines.push(format!("    private-domain: \"{zone}.\""));
        if let Some(answered) = self.is_within(&ANSWERED_BY_UNBOUND) {
            lines.push(format!("    local-zone: \"{answered}.\" nodefault"));
        }
        lines.push("stub-zone:".to_owned());
        lines.push(format!("    name: \"{zone}.\""));
        let (ip, port) = (self.server.ip(), self.server.port());
        lines.push(format!("    stub-addr: {ip}@{port}"));
        let path = "/etc/unbound/unbound.conf.d/namebeat.conf";
        advice.files.push(File::new(path, lines));
        advice.commands.push("systemctl restart unbound".to_owned());
        advice
            .notes
            .push("leave cache-min-ttl at 0, so that nothing is kept for too long".to_owned());
    }

    fn network_manager(&self, advice: &mut Advice) {
        let main = vec!["[main]".to_owned(), "dns=dnsmasq".to_owned()];
        let path = "/etc/NetworkManager/conf.d/namebeat.conf";
        advice.files.push(File::new(path, main));
        let path = "/etc/NetworkManager/dnsmasq.d/namebeat.conf";
        advice.files.push(File::new(path, vec![self.server_line()]));
        advice
            .commands
            .push("systemctl restart NetworkManager".to_owned());
        advice.notes.push(
            "it starts a dnsmasq of its own, which must be installed and not run by itself"
                .to_owned(),
        );
        advice.notes.push(
            "where its settings say dns=systemd-resolved: see --for systemd-resolved".to_owned(),
        );
    }

    fn resolv_conf(&self, advice: &mut Advice) {
        let nameserver = |ip: &IpAddr| format!("nameserver {ip}");
        let path = "/etc/resolv.conf";
        if self.server.port() == 53 {
            let mut servers = vec![self.server.ip()];
            servers.extend(self.upstream.iter().filter(|ip| **ip != self.server.ip()));
            // Resolvers read three.
            let lines = servers.iter().take(3).map(nameserver).collect();
            advice.files.push(File::new(path, lines));
            advice.notes.push(
                "namebeat refuses other zones, and the next server is asked for them".to_owned(),
            );
            return;
        }
        let mut lines = vec![
            "listen-address=127.0.0.1".to_owned(),
            "bind-interfaces".to_owned(),
            self.server_line(),
        ];
        let others: Vec<&IpAddr> = self
            .upstream
            .iter()
            .filter(|ip| !ip.is_loopback())
            .collect();
        if !others.is_empty() {
            lines.push("no-resolv".to_owned());
            lines.extend(others.iter().map(|ip| format!("server={ip}")));
        }
        advice
            .files
            .push(File::new("/etc/dnsmasq.d/namebeat.conf", lines));
        let local = vec![nameserver(&Ipv4Addr::LOCALHOST.into())];
        advice.files.push(File::new(path, local));
        advice.commands.push("systemctl restart dnsmasq".to_owned());
        let port = self.server.port();
        advice.notes.push(format!(
            "/etc/resolv.conf has no ports and means 53, so a forwarder stands before port {port}: here dnsmasq"
        ));
        if others.is_empty() {
            advice
                .notes
                .push("add server=ADDRESS for what answers everything else".to_owned());
        }
    }

    fn docker(&self, advice: &mut Advice) {
        let host = IpAddr::from(self.gateway.unwrap_or(DOCKER_BRIDGE));
        let lines = vec![
            format!("listen-address={host}"),
            "bind-dynamic".to_owned(),
            self.server_line(),
        ];
        advice
            .files
            .push(File::new("/etc/dnsmasq.d/namebeat.conf", lines));
        let lines = vec![format!("{{\"dns\": [\"{host}\"]}}")];
        advice
            .files
            .push(File::new("/etc/docker/daemon.json", lines));
        advice
            .commands
            .push("systemctl restart dnsmasq docker".to_owned());
        advice.notes.push("on the machine that runs Docker; containers don't reach its loopback, and Docker names servers without ports".to_owned());
        advice
            .notes
            .push(format!("for one container: docker run --dns {host}"));
        if self.gateway.is_none() {
            advice.notes.push(format!(
                "{host} is what docker0 has unless it was set otherwise: ip address show docker0"
            ));
        }
    }

    fn coredns(&self, advice: &mut Advice) {
        let zone = &self.zone;
        let mut server = self.server;
        if server.ip().is_loopback()
            && let Some(outward) = self.outward
        {
            server.set_ip(outward);
            advice.notes.push(format!(
                "pods don't reach loopback: let the server listen there, namebeat serve --dns {} --dns {server}",
                self.server
            ));
        }
        let lines = vec![
            format!("{zone}:53 {{"),
            "    errors".to_owned(),
            format!("    forward . {server}"),
            "}".to_owned(),
        ];
        let path = "Corefile of the ConfigMap coredns in kube-system, below what is there";
        advice.files.push(File::new(path, lines));
        advice
            .commands
            .push("kubectl -n kube-system edit configmap coredns".to_owned());
        advice
            .commands
            .push("kubectl -n kube-system rollout restart deployment coredns".to_owned());
        advice.notes.push(
            "without the plugin cache, which makes TTLs 5 s at least and so keeps what has left"
                .to_owned(),
        );
    }

    fn macos(&self, advice: &mut Advice) {
        let (ip, port) = (self.server.ip(), self.server.port());
        let lines = vec![format!("nameserver {ip}"), format!("port {port}")];
        let path = format!("/etc/resolver/{}", self.zone);
        advice.files.push(File::new(&path, lines));
        advice.notes.push(
            "it's read at once; scutil --dns shows it. dig and host don't look there".to_owned(),
        );
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    fn target(server: &str, zone: &str) -> Target {
        Target {
            server: server.parse().unwrap(),
            zone: zone.to_owned(),
            upstream: vec!["10.0.0.2".parse().unwrap()],
            outward: Some("10.0.0.9".parse().unwrap()),
            gateway: None,
        }
    }

    /// Files with their lines.
    fn files(server: &str, zone: &str, place: Place) -> String {
        let advice = target(server, zone).advice(place);
        let file = |file: &File| format!("{}\n{}\n", file.path, file.lines.join("\n"));
        advice.files.iter().map(file).collect()
    }

    #[test]
    fn lines_are_those_for_the_server() {
        for (server, zone, place, expected) in [
            (
                "[fd00::1]:8053",
                "svc.internal",
                Place::SystemdResolved,
                "/etc/systemd/resolved.conf.d/namebeat.conf\n[Resolve]\nDNS=[fd00::1]:8053\nDomains=~svc.internal\n",
            ),
            (
                "127.0.0.1:5300",
                "shop.example",
                Place::SystemdResolved,
                "/etc/systemd/resolved.conf.d/namebeat.conf\n[Resolve]\nDNS=127.0.0.1:5300\nDomains=~shop.example\n/etc/dnssec-trust-anchors.d/namebeat.negative\nshop.example\n",
            ),
            (
                "[::1]:8053",
                "svc.internal",
                Place::Dnsmasq,
                "/etc/dnsmasq.d/namebeat.conf\nserver=/svc.internal/::1#8053\n",
            ),
            (
                "10.0.0.5:8053",
                "notinternal",
                Place::Unbound,
                "/etc/unbound/unbound.conf.d/namebeat.conf\nserver:\n    domain-insecure: \"notinternal.\"\n    private-domain: \"notinternal.\"\nstub-zone:\n    name: \"notinternal.\"\n    stub-addr: 10.0.0.5@8053\n",
            ),
            (
                "10.0.0.5:53",
                "svc.internal",
                Place::ResolvConf,
                "/etc/resolv.conf\nnameserver 10.0.0.5\nnameserver 10.0.0.2\n",
            ),
            (
                "127.0.0.1:8053",
                "svc.internal",
                Place::ResolvConf,
                "/etc/dnsmasq.d/namebeat.conf\nlisten-address=127.0.0.1\nbind-interfaces\nserver=/svc.internal/127.0.0.1#8053\nno-resolv\nserver=10.0.0.2\n/etc/resolv.conf\nnameserver 127.0.0.1\n",
            ),
            (
                "127.0.0.1:8053",
                "svc.internal",
                Place::Docker,
                "/etc/dnsmasq.d/namebeat.conf\nlisten-address=172.17.0.1\nbind-dynamic\nserver=/svc.internal/127.0.0.1#8053\n/etc/docker/daemon.json\n{\"dns\": [\"172.17.0.1\"]}\n",
            ),
            (
                "127.0.0.1:8053",
                "svc.internal",
                Place::Coredns,
                "Corefile of the ConfigMap coredns in kube-system, below what is there\nsvc.internal:53 {\n    errors\n    forward . 10.0.0.9:8053\n}\n",
            ),
            (
                "127.0.0.1:8053",
                "svc.internal",
                Place::Macos,
                "/etc/resolver/svc.internal\nnameserver 127.0.0.1\nport 8053\n",
            ),
            (
                "127.0.0.1:8053",
                "svc.internal",
                Place::NetworkManager,
                "/etc/NetworkManager/conf.d/namebeat.conf\n[main]\ndns=dnsmasq\n/etc/NetworkManager/dnsmasq.d/namebeat.conf\nserver=/svc.internal/127.0.0.1#8053\n",
            ),
        ] {
            assert_eq!(files(server, zone, place), expected, "{place:?}");
        }
    }

    #[test]
    fn each_place_has_its_advice() {
        for place in Place::value_variants() {
            let advice = target("127.0.0.1:8053", "svc.internal").advice(*place);
            assert!(
                !advice.files.is_empty() && !advice.notes.is_empty(),
                "{advice:?}"
            );
        }
    }
}
