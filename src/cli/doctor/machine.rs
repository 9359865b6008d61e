//! Which resolvers this machine looks names up with, by what lies in its files.
//!
//! Nothing is started and nobody is asked: files of `/etc`, `/run` and `/proc`, below a
//! root that tests choose.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Most processes whose names are read.
const MAX_PROCESSES: usize = 65_536;

/// A place that can be told where the zone is answered.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Place {
    /// systemd-resolved
    SystemdResolved,
    /// dnsmasq, on this machine
    Dnsmasq,
    /// unbound, on this machine
    Unbound,
    /// NetworkManager, with a dnsmasq of its own
    NetworkManager,
    /// /etc/resolv.conf alone
    ResolvConf,
    /// containers of Docker
    Docker,
    /// CoreDNS, for the pods of Kubernetes
    Coredns,
    /// macOS
    Macos,
}

/// A place that this machine uses, and what shows it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Use {
    pub(super) place: Place,
    /// For people.
    pub(super) because: String,
}

/// What this machine looks names up with.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Machine {
    /// Servers of `/etc/resolv.conf`, in their order.
    pub(super) nameservers: Vec<IpAddr>,
    /// What it uses, the one that decides first.
    pub(super) uses: Vec<Use>,
    /// The next hop to everywhere: of a container, the machine that it runs on.
    pub(super) gateway: Option<Ipv4Addr>,
}

impl Machine {
    /// Looks at the files below `root`. `is_pod` is what only the environment says.
    pub(super) fn read(root: &Path, is_pod: bool) -> Self {
        let files = Files {
            root,
            processes: processes(root),
        };
        let resolv = files.text("etc/resolv.conf");
        let words = |line: &str, keyword| {
            let rest = line.strip_prefix(keyword)?;
            // A zone of the interface (`%eth0`) is nothing that an address has here.
            rest.split_whitespace()
                .next()?
                .split('%')
                .next()?
                .parse()
                .ok()
        };
        let nameservers: Vec<IpAddr> = resolv
            .lines()
            .filter_map(|line| words(line.trim(), "nameserver"))
            .collect();
        Self {
            uses: files.uses(&resolv, &nameservers, is_pod),
            nameservers,
            gateway: gateway(&files.text("proc/net/route")),
        }
    }

    /// The place that decides.
    pub(super) fn first(&self) -> Place {
        self.uses
            .first()
            .map_or(Place::ResolvConf, |first| first.place)
    }
}

/// Files below a root, and the names of what runs.
struct Files<'a> {
    root: &'a Path,
    processes: Vec<String>,
}

impl Files<'_> {
    /// A file's text; nothing when it isn't there.
    fn text(&self, path: &str) -> String {
        let octets = std::fs::read(self.root.join(path)).unwrap_or_default();
        String::from_utf8_lossy(&octets).into_owned()
    }

    fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    fn runs(&self, name: &str) -> bool {
        // The kernel keeps 15 octets of a name.
        let kept = &name[..name.len().min(15)];
        self.processes.iter().any(|process| process == kept)
    }

    /// What is used, from what decides most.
    fn uses(&self, resolv: &str, nameservers: &[IpAddr], is_pod: bool) -> Vec<Use> {
        let mut uses: Vec<Use> = Vec::new();
        let mut found = |place, because: &str| {
            if !uses.iter().any(|known| known.place == place) {
                let because = because.to_owned();
                uses.push(Use { place, because });
            }
        };
        if is_pod || self.has("var/run/secrets/kubernetes.io/serviceaccount") {
            found(Place::Coredns, "this is a pod of Kubernetes");
        }
        if self.has(".dockerenv") {
            found(Place::Docker, "this is a container of Docker");
        }
        if self.has("System/Library/CoreServices/SystemVersion.plist") {
            found(Place::Macos, "this is macOS");
        }
        let link = std::fs::read_link(self.root.join("etc/resolv.conf")).unwrap_or_default();
        let is_link_to = |part: &str| link.to_string_lossy().contains(part);
        let stubs = [Ipv4Addr::new(127, 0, 0, 53), Ipv4Addr::new(127, 0, 0, 54)];
        if let Some(stub) = nameservers
            .iter()
            .find(|one| stubs.iter().any(|stub| *one == stub))
        {
            found(
                Place::SystemdResolved,
                &format!("/etc/resolv.conf names {stub}"),
            );
        }
        if is_link_to("systemd/resolve") {
            found(
                Place::SystemdResolved,
                "/etc/resolv.conf is a link to its file",
            );
        }
        let hosts = self.text("etc/nsswitch.conf");
        let mut hosts = hosts
            .lines()
            .filter_map(|line| line.trim().strip_prefix("hosts:"));
        let resolves = hosts.any(|line| line.split_whitespace().any(|word| word == "resolve"));
        if resolves && self.runs("systemd-resolved") {
            found(
                Place::SystemdResolved,
                "/etc/nsswitch.conf has hosts looked up by it",
            );
        }
        let manages = self.runs("NetworkManager");
        if manages && self.network_manager_says("dns=dnsmasq") {
            found(Place::NetworkManager, "its settings say dns=dnsmasq");
        }
        let local = nameservers.first().is_some_and(IpAddr::is_loopback);
        for (place, name) in [(Place::Dnsmasq, "dnsmasq"), (Place::Unbound, "unbound")] {
            if local && self.runs(name) {
                found(place, "/etc/resolv.conf names this machine, where it runs");
            }
        }
        if resolv.contains("NetworkManager") || is_link_to("NetworkManager") {
            found(Place::NetworkManager, "it has written /etc/resolv.conf");
        }
        for (place, name) in [(Place::Dnsmasq, "dnsmasq"), (Place::Unbound, "unbound")] {
            if self.runs(name) {
                found(place, "it runs, but /etc/resolv.conf doesn't name it first");
            }
        }
        if self.has("etc/resolv.conf") {
            let names: Vec<String> = nameservers.iter().map(IpAddr::to_string).collect();
            let names = match names.is_empty() {
                true => "it names no server".to_owned(),
                false => format!("it names {}", names.join(", ")),
            };
            found(Place::ResolvConf, &names);
        }
        uses
    }

    /// Whether a file of NetworkManager's settings has this line.
    fn network_manager_says(&self, setting: &str) -> bool {
        let mut paths = vec![PathBuf::from("etc/NetworkManager/NetworkManager.conf")];
        let more = self.root.join("etc/NetworkManager/conf.d");
        for entry in std::fs::read_dir(more).into_iter().flatten().flatten() {
            paths.push(Path::new("etc/NetworkManager/conf.d").join(entry.file_name()));
        }
        let said = |path: &PathBuf| {
            let text = self.text(&path.to_string_lossy());
            text.lines().any(|line| line.replace(' ', "") == setting)
        };
        paths.iter().any(said)
    }
}

/// The names of all processes.
fn processes(root: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(root.join("proc")).into_iter().flatten();
    let name = |entry: std::fs::DirEntry| {
        let id = entry.file_name();
        id.to_str()?.parse::<u32>().ok()?;
        let name = std::fs::read_to_string(entry.path().join("comm")).ok()?;
        Some(name.trim_end().to_owned())
    };
    let names = entries.flatten().filter_map(name);
    names.take(MAX_PROCESSES).collect()
}

/// The gateway of the default route, as `/proc/net/route` has it: hexadecimal, in the machine's order.
fn gateway(routes: &str) -> Option<Ipv4Addr> {
    routes.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "00000000", gateway, ..] = words[..] else {
            return None;
        };
        let octets = u32::from_str_radix(gateway, 16).ok()?.to_ne_bytes();
        (octets != [0; 4]).then(|| octets.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files, whether it's a pod, and what is used.
    type Case = (
        &'static [(&'static str, &'static str)],
        bool,
        &'static [Place],
    );

    /// A root with these files, links marked by `->`; removed at the end.
    struct Root(PathBuf);

    impl Root {
        fn new(files: &[(&str, &str)]) -> Self {
            let name = format!(
                "namebeat-doctor-{}-{:x}",
                std::process::id(),
                fastrand::u64(..)
            );
            let root = Self(std::env::temp_dir().join(name));
            for (path, text) in files {
                let path = root.0.join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                match text.strip_prefix("-> ") {
                    Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
                    None => std::fs::write(path, text).unwrap(),
                }
            }
            root
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn machines_are_told_apart() {
        use Place::*;
        const PLAIN: (&str, &str) = (
            "etc/resolv.conf",
            "# x\nnameserver 10.0.0.2\nnameserver fe80::1%eth0\n",
        );
        const LOCAL: (&str, &str) = ("etc/resolv.conf", "nameserver 127.0.0.1\n");
        let cases: [Case; 13] = [
            (&[], false, &[]),
            (&[PLAIN], false, &[ResolvConf]),
            (&[PLAIN], true, &[Coredns, ResolvConf]),
            (&[PLAIN, (".dockerenv", "")], false, &[Docker, ResolvConf]),
            (
                &[("etc/resolv.conf", "nameserver 127.0.0.53\noptions edns0\n")],
                false,
                &[SystemdResolved, ResolvConf],
            ),
            (
                &[("etc/resolv.conf", "-> ../run/systemd/resolve/resolv.conf")],
                false,
                &[SystemdResolved],
            ),
            (
                &[
                    PLAIN,
                    (
                        "etc/nsswitch.conf",
                        "hosts: files resolve [!UNAVAIL=return] dns\n",
                    ),
                    ("proc/7/comm", "systemd-resolve\n"),
                ],
                false,
                &[SystemdResolved, ResolvConf],
            ),
            (
                &[PLAIN, ("etc/nsswitch.conf", "hosts: files resolve dns\n")],
                false,
                &[ResolvConf],
            ),
            (
                &[LOCAL, ("proc/7/comm", "dnsmasq\n")],
                false,
                &[Dnsmasq, ResolvConf],
            ),
            (
                &[LOCAL, ("proc/7/comm", "unbound\n")],
                false,
                &[Unbound, ResolvConf],
            ),
            (
                &[
                    (
                        "etc/resolv.conf",
                        "# Generated by NetworkManager\nnameserver 10.0.0.2\n",
                    ),
                    ("proc/7/comm", "unbound\n"),
                ],
                false,
                &[NetworkManager, Unbound, ResolvConf],
            ),
            (
                &[
                    LOCAL,
                    ("proc/7/comm", "dnsmasq\n"),
                    ("proc/8/comm", "NetworkManager\n"),
                    (
                        "etc/NetworkManager/conf.d/dns.conf",
                        "[main]\ndns = dnsmasq\n",
                    ),
                ],
                false,
                &[NetworkManager, Dnsmasq, ResolvConf],
            ),
            (
                &[("System/Library/CoreServices/SystemVersion.plist", "")],
                false,
                &[Macos],
            ),
        ];
        for (files, is_pod, expected) in cases {
            let root = Root::new(files);
            let machine = Machine::read(&root.0, is_pod);
            let places: Vec<Place> = machine.uses.iter().map(|one| one.place).collect();
            assert_eq!(places, expected, "{files:?} {machine:?}");
        }
    }

    #[test]
    fn nameservers_and_the_gateway_are_read() {
        let route =
            "Iface\tDestination\tGateway\nlo\t0000007F\t00000000\neth0\t00000000\t010011AC\n";
        let root = Root::new(&[
            (
                "etc/resolv.conf",
                "#nameserver 1.1.1.1\n nameserver 10.0.0.2\nnameserver fe80::1%eth0\nnameserver x\n",
            ),
            ("proc/net/route", route),
        ]);
        let machine = Machine::read(&root.0, false);
        let expected: [IpAddr; 2] = ["10.0.0.2".parse().unwrap(), "fe80::1".parse().unwrap()];
        assert_eq!(machine.nameservers, expected);
        #[cfg(target_endian = "little")]
        assert_eq!(machine.gateway, Some(Ipv4Addr::new(172, 17, 0, 1)));
    }
}
