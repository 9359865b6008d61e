//! `namebeat watch`: changes as they come, until ctrl-c.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use namebeat::api::{Instance, Service};
use namebeat::client::{Watch, WatchEvent};

use super::api_server::{ApiArguments, block_on};
use super::output::{Paint, Tone, harmless};
use super::{CommandError, instances};

/// Longest time until a stream that broke off is asked for again, and shortest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// What to watch.
#[derive(clap::Args)]
pub(super) struct WatchArguments {
    /// Services, up to 64 [default: all]
    services: Vec<String>,
    /// Only what changes after this revision
    #[arg(long, value_name = "REVISION")]
    since: Option<u64>,
    #[command(flatten)]
    api: ApiArguments,
}

/// Prints a line for each instance that comes, goes or changes; with `--json` the service
/// with its instances, one a line. Ends when nobody reads it.
pub(super) fn run(arguments: WatchArguments) -> Result<(), CommandError> {
    let WatchArguments {
        services,
        since,
        api,
    } = arguments;
    block_on(async {
        let names: Vec<&str> = services.iter().map(String::as_str).collect();
        let mut watch = api.client()?.watch(&names, since);
        let mut known = Known {
            services: BTreeMap::new(),
            paint: Paint::of_stdout(),
        };
        let mut wait = None;
        loop {
            let event = next(&mut watch, &mut wait).await?;
            let written = match (event, api.json) {
                (WatchEvent::Restarted, _) => {
                    known.services.clear();
                    eprintln!("namebeat: changes were missed; what there is follows");
                    Ok(())
                }
                (WatchEvent::Changed(service), true) => print_json(&service),
                (WatchEvent::Changed(service), false) => known.changed(service, &mut io::stdout()),
            };
            // Whoever closes the pipe has read enough.
            if written.is_err() {
                return Ok(());
            }
        }
    })
}

/// The next event. A server that has answered once is waited for when it's away.
async fn next(watch: &mut Watch, wait: &mut Option<Duration>) -> Result<WatchEvent, CommandError> {
    loop {
        match watch.next().await {
            Ok(event) => {
                *wait = Some(BACKOFF.0);
                return Ok(event);
            }
            Err(error) => {
                let Some(time) = wait.filter(|_| error.is_temporary()) else {
                    return Err(error.into());
                };
                if time == BACKOFF.0 {
                    eprintln!("namebeat: trying again: {}", harmless(&error.to_string()));
                }
                tokio::time::sleep(time.mul_f64(1.0 - fastrand::f64() / 10.0)).await;
                *wait = Some((time * 2).min(BACKOFF.1));
            }
        }
    }
}

fn print_json(service: &Service) -> io::Result<()> {
    let text = serde_json::to_string(service)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// What was told, to say what's new in what comes.
struct Known {
    services: BTreeMap<String, BTreeMap<String, Instance>>,
    paint: Paint,
}

impl Known {
    /// Prints what's new of a service.
    fn changed(&mut self, service: Service, out: &mut impl Write) -> io::Result<()> {
        let Service {
            name,
            revision,
            instances,
        } = service;
        let is_new = !self.services.contains_key(&name);
        let known = self.services.entry(name.clone()).or_default();
        let paint = self.paint;
        let mut lines = Vec::new();
        let mut line = |tone, sign: &str, instance: &Instance| {
            let (id, endpoint) = (&instance.id, instances::endpoint(instance));
            lines.push(paint.text(tone, &format!("{revision} {sign} {name} {id} {endpoint}")));
        };
        let now: BTreeMap<String, Instance> = instances
            .into_iter()
            .map(|one| (one.id.clone(), one))
            .collect();
        for instance in known.values().filter(|one| !now.contains_key(&one.id)) {
            line(Tone::Bad, "-", instance);
        }
        for instance in now.values() {
            match known.get(&instance.id) {
                None => line(Tone::Good, "+", instance),
                Some(before) if is_other(before, instance) => line(Tone::Fair, "~", instance),
                Some(_) => {}
            }
        }
        if is_new && now.is_empty() {
            lines.push(format!("{revision}   {name} nobody is listed"));
        }
        *known = now;
        for line in lines {
            writeln!(out, "{line}")?;
        }
        out.flush()
    }
}

/// Whether what was registered differs, whatever was renewed meanwhile.
fn is_other(before: &Instance, now: &Instance) -> bool {
    let registered = |instance: &Instance| {
        let mut json = serde_json::to_value(instance).unwrap_or_default();
        if let Some(fields) = json.as_object_mut() {
            for set_by_server in ["state", "last_heartbeat", "registration_time"] {
                fields.remove(set_by_server);
            }
        }
        json
    };
    registered(before) != registered(now)
}
