//! What the standard `OTEL_*` variables ask for, read once and checked.
//!
//! | variable | read by |
//! |---|---|
//! | `OTEL_SDK_DISABLED`, `OTEL_{METRICS,TRACES,LOGS}_EXPORTER` | us |
//! | `OTEL_EXPORTER_OTLP_[signal_]ENDPOINT`, `_PROTOCOL`, `_TIMEOUT`, `_INSECURE` | us |
//! | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | us |
//! | `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | us |
//! | `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` | us |
//! | `OTEL_EXPORTER_OTLP_[signal_]HEADERS` | us; those of traces and logs once more by their exporters |
//! | `OTEL_BSP_*`, `OTEL_BLRP_*`, `OTEL_SPAN_*_LIMIT` | the SDK |
//!
//! We read all but the last row ourselves because the SDK takes a bad value for
//! an absent one and says so only in its own log, which we switch off; here a
//! bad value is a [`TelemetryError`]. An empty value is an absent one, as
//! OpenTelemetry has it. Compression isn't built in, so it isn't read.
//!
//! Pure: variables come from a function that is passed in.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::Sampler;
use reqwest::header::HeaderMap;

use super::{TelemetryError, pairs};

/// How long one export may take, unless a variable says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often metrics go out, unless a variable says otherwise.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

/// Everything the variables decide; a signal without a destination is off.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) metrics: Option<Destination>,
    pub(super) traces: Option<Destination>,
    pub(super) logs: Option<Destination>,
    pub(super) interval: Duration,
    pub(super) temporality: Temporality,
    pub(super) sampler: Sampler,
    pub(super) resource: Resource,
}

/// Where and how the data of one signal goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Destination {
    /// Complete URL: for HTTP with the signal's path, for gRPC without one.
    pub(super) endpoint: String,
    pub(super) protocol: Protocol,
    pub(super) timeout: Duration,
    pub(super) headers: HeaderMap,
}

/// The encodings of OTLP that are built in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    HttpProtobuf,
    Grpc,
}

impl Settings {
    /// Reads the settings through `variable`, or says which one is wrong.
    pub(super) fn from_vars(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, TelemetryError> {
        let vars = Vars(|name: &str| variable(name).filter(|value| !value.trim().is_empty()));
        if vars.flag("OTEL_SDK_DISABLED") {
            return Ok(Self::off());
        }
        let settings = Self {
            metrics: vars.destination("METRICS")?,
            traces: vars.destination("TRACES")?,
            logs: vars.destination("LOGS")?,
            ..Self::off()
        };
        if settings.is_off() {
            // Nobody reads the rest, so a mistake in it stops nobody.
            return Ok(settings);
        }
        Ok(Self {
            interval: vars
                .millis("OTEL_METRIC_EXPORT_INTERVAL")?
                .unwrap_or(DEFAULT_INTERVAL),
            temporality: vars.temporality()?,
            sampler: vars.sampler()?,
            resource: vars.resource()?,
            ..settings
        })
    }

    /// No signal goes anywhere.
    pub(super) fn off() -> Self {
        Self {
            metrics: None,
            traces: None,
            logs: None,
            interval: DEFAULT_INTERVAL,
            temporality: Temporality::default(),
            sampler: Sampler::AlwaysOff,
            resource: Resource::builder_empty().build(),
        }
    }

    /// Whether no signal goes anywhere.
    pub(super) fn is_off(&self) -> bool {
        self.destinations().next().is_none()
    }

    /// Whether any exporter works on a runtime: that of metrics, and all over gRPC.
    pub(super) fn needs_runtime(&self) -> bool {
        self.metrics.is_some() || self.destinations().any(|to| to.protocol == Protocol::Grpc)
    }

    fn destinations(&self) -> impl Iterator<Item = &Destination> {
        [&self.metrics, &self.traces, &self.logs]
            .into_iter()
            .flatten()
    }
}

/// The variables, with the few forms their values have.
struct Vars<F>(F);

impl<F: Fn(&str) -> Option<String>> Vars<F> {
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned())
    }

    /// A boolean: true only when it says so, in any letter case.
    fn flag(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// A length of time in whole milliseconds above 0.
    fn millis(&self, name: &str) -> Result<Option<Duration>, TelemetryError> {
        self.get(name)
            .map(|value| match value.parse() {
                Ok(millis @ 1..) => Ok(Duration::from_millis(millis)),
                _ => Err(bad(name, value, "a whole number of milliseconds above 0")),
            })
            .transpose()
    }

    /// The variable of one signal if it is set, else the general one: its name and value.
    fn of_signal(&self, signal: &str, setting: &str) -> Option<(String, String)> {
        [
            format!("OTEL_EXPORTER_OTLP_{signal}_{setting}"),
            format!("OTEL_EXPORTER_OTLP_{setting}"),
        ]
        .into_iter()
        .find_map(|name| self.get(&name).map(|value| (name, value)))
    }

    fn destination(&self, signal: &str) -> Result<Option<Destination>, TelemetryError> {
        let Some((variable, endpoint)) = self.of_signal(signal, "ENDPOINT") else {
            return Ok(None);
        };
        let exporter = format!("OTEL_{signal}_EXPORTER");
        match self.get(&exporter) {
            Some(value) if value == "none" => return Ok(None),
            Some(value) if value != "otlp" => {
                return Err(bad(&exporter, value, "\"otlp\" or \"none\""));
            }
            _ => {}
        }
        let protocol = match self.of_signal(signal, "PROTOCOL") {
            None => Protocol::HttpProtobuf,
            Some((_, value)) if value == "http/protobuf" => Protocol::HttpProtobuf,
            Some((_, value)) if value == "grpc" => Protocol::Grpc,
            Some((name, value)) => {
                return Err(bad(&name, value, "\"http/protobuf\" or \"grpc\""));
            }
        };
        let endpoint = match protocol {
            Protocol::HttpProtobuf => http_endpoint(&variable, endpoint, signal)?,
            Protocol::Grpc => {
                let insecure = self.of_signal(signal, "INSECURE");
                let insecure =
                    insecure.is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
                grpc_endpoint(&variable, endpoint, insecure)?
            }
        };
        let timeout = match self.of_signal(signal, "TIMEOUT") {
            Some((name, _)) => self.millis(&name)?,
            None => None,
        };
        Ok(Some(Destination {
            endpoint,
            protocol,
            timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
            headers: self.headers(signal)?,
        }))
    }

    /// What each request of a signal carries; its own variable takes the place of the general one.
    fn headers(&self, signal: &str) -> Result<HeaderMap, TelemetryError> {
        let Some((variable, text)) = self.of_signal(signal, "HEADERS") else {
            return Ok(HeaderMap::new());
        };
        pairs::headers(&text).ok_or(TelemetryError::Headers { variable })
    }

    fn temporality(&self) -> Result<Temporality, TelemetryError> {
        let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        let Some(value) = self.get(name) else {
            return Ok(Temporality::default());
        };
        let expected = "\"cumulative\", \"delta\" or \"lowmemory\"";
        value.parse().map_err(|()| bad(name, value, expected))
    }

    fn sampler(&self) -> Result<Sampler, TelemetryError> {
        let ratio = || {
            let name = "OTEL_TRACES_SAMPLER_ARG";
            let value = self.get(name).unwrap_or_else(|| "1".to_owned());
            match value.parse::<f64>() {
                Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(Sampler::TraceIdRatioBased(ratio)),
                _ => Err(bad(name, value, "a number from 0 to 1")),
            }
        };
        let of_parent = |root: Sampler| Sampler::ParentBased(Box::new(root));
        let name = "OTEL_TRACES_SAMPLER";
        let value = self.get(name);
        Ok(match value.as_deref() {
            None | Some("parentbased_always_on") => of_parent(Sampler::AlwaysOn),
            Some("parentbased_always_off") => of_parent(Sampler::AlwaysOff),
            Some("parentbased_traceidratio") => of_parent(ratio()?),
            Some("always_on") => Sampler::AlwaysOn,
            Some("always_off") => Sampler::AlwaysOff,
            Some("traceidratio") => ratio()?,
            Some(other) => {
                let expected = "\"always_on\", \"always_off\" or \"traceidratio\", \
                                or one of them after \"parentbased_\"";
                return Err(bad(name, other.to_owned(), expected));
            }
        })
    }

    fn resource(&self) -> Result<Resource, TelemetryError> {
        let name = "OTEL_RESOURCE_ATTRIBUTES";
        let text = self.get(name).unwrap_or_default();
        let attributes = pairs::pairs(&text)
            .ok_or_else(|| bad(name, text.clone(), "key=value pairs separated by commas"))?
            .into_iter()
            .map(|(key, value)| KeyValue::new(key.to_owned(), value));
        // What comes later wins.
        Ok(Resource::builder_empty()
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("service.instance.id", random_uuid()))
            .with_service_name("namebeat")
            .with_attributes(attributes)
            .with_attributes(
                self.get("OTEL_SERVICE_NAME")
                    .map(|name| KeyValue::new("service.name", name)),
            )
            .build())
    }
}

/// The URL to post to: a general endpoint gets the signal's path, its own is used as it is.
fn http_endpoint(variable: &str, endpoint: String, signal: &str) -> Result<String, TelemetryError> {
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        return Err(bad(variable, endpoint, "an http:// or https:// URL"));
    }
    if variable != "OTEL_EXPORTER_OTLP_ENDPOINT" {
        return Ok(endpoint);
    }
    let path = signal.to_ascii_lowercase();
    Ok(format!("{}/v1/{path}", endpoint.trim_end_matches('/')))
}

/// The URL to dial; one without a scheme means TLS unless `insecure`.
fn grpc_endpoint(
    variable: &str,
    endpoint: String,
    insecure: bool,
) -> Result<String, TelemetryError> {
    match endpoint.split_once("://") {
        Some(("http", _)) => Ok(endpoint),
        None if insecure => Ok(format!("http://{endpoint}")),
        Some(("https", _)) | None => Err(TelemetryError::GrpcOverTls {
            variable: variable.to_owned(),
            value: endpoint,
        }),
        Some(_) => Err(bad(variable, endpoint, "an http:// URL")),
    }
}

fn bad(variable: &str, value: String, expected: &'static str) -> TelemetryError {
    TelemetryError::Variable {
        variable: variable.to_owned(),
        value,
        expected,
    }
}

/// A random UUID (version 4, [RFC 9562](https://www.rfc-editor.org/rfc/rfc9562) §5.4), which
/// tells this process's telemetry from that of any other.
fn random_uuid() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76) & !(0b11 << 62) | (0x4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    let (a, b, c, d, e) = (
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    );
    format!("{a}-{b}-{c}-{d}-{e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::from_vars(|name| {
            let found = vars.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
        .map_err(|error| error.to_string())
    }

    const GENERAL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");

    #[test]
    fn a_signal_is_on_when_it_has_an_endpoint() {
        let endpoints = |vars: &[(&str, &str)]| {
            let settings = read(vars).unwrap();
            [settings.metrics, settings.traces, settings.logs]
                .map(|to| to.map_or_else(String::new, |to| to.endpoint))
        };
        assert_eq!(endpoints(&[]), ["", "", ""]);
        assert_eq!(endpoints(&[(GENERAL.0, " ")]), ["", "", ""]);
        assert_eq!(
            endpoints(&[GENERAL, ("OTEL_SDK_DISABLED", "True")]),
            ["", "", ""]
        );
        assert_eq!(
            endpoints(&[GENERAL, ("OTEL_LOGS_EXPORTER", "none")]),
            [
                "http://collector:4318/v1/metrics",
                "http://collector:4318/v1/traces",
                ""
            ]
        );
        assert_eq!(
            endpoints(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces/in")]),
            ["", "https://traces/in", ""]
        );
        assert_eq!(
            endpoints(&[
                ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "collector:4317"),
                ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
                ("OTEL_EXPORTER_OTLP_INSECURE", "true"),
            ]),
            ["http://collector:4317", "", ""]
        );
    }

    #[test]
    fn a_bad_value_is_named() {
        let error = |name: &str, value: &str| read(&[GENERAL, (name, value)]).unwrap_err();
        for (name, value, expected) in [
            (
                "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
                "collector:4318",
                "an http://",
            ),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "\"grpc\""),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "milliseconds"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "0", "above 0"),
            (
                "OTEL_METRICS_EXPORTER",
                "prometheus",
                "\"otlp\" or \"none\"",
            ),
            ("OTEL_TRACES_SAMPLER", "xray", "parentbased_"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=b,c", "key=value"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=%+1", "key=value"),
            (
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
                "both",
                "\"cumulative\"",
            ),
        ] {
            let message = error(name, value);
            for part in [name, value, expected] {
                assert!(message.contains(part), "{message:?} should have {part:?}");
            }
        }
        let tls = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4317"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ];
        assert!(read(&tls).unwrap_err().contains("http/protobuf"));
        let name = "OTEL_EXPORTER_OTLP_LOGS_HEADERS";
        let message = error(name, "api-key:secret");
        assert!(
            message.contains(name) && !message.contains("secret"),
            "{message}"
        );
    }

    #[test]
    fn headers_of_a_signal_take_the_place_of_the_general_ones() {
        let settings = read(&[
            GENERAL,
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=general,x=y"),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "api-key=of%20metrics"),
        ]);
        let settings = settings.unwrap();
        let (metrics, logs) = (settings.metrics.unwrap(), settings.logs.unwrap());
        assert_eq!(metrics.headers["api-key"], "of metrics");
        assert_eq!((metrics.headers.len(), logs.headers.len()), (1, 2));
        assert_eq!(logs.headers["api-key"], "general");
    }

    #[test]
    fn the_resource_says_who_we_are() {
        let value = |vars: &[(&str, &str)], key: &'static str| {
            let resource = read(vars).unwrap().resource;
            resource.get(&key.into()).unwrap().to_string()
        };
        let attributes = (
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=here, rack=a%2C%20b,",
        );
        assert_eq!(value(&[GENERAL], "service.name"), "namebeat");
        assert_eq!(value(&[GENERAL, attributes], "service.name"), "here");
        assert_eq!(value(&[GENERAL, attributes], "rack"), "a, b");
        let named = [GENERAL, attributes, ("OTEL_SERVICE_NAME", "dns")];
        assert_eq!(value(&named, "service.name"), "dns");
        assert_eq!(
            value(&[GENERAL], "service.version"),
            env!("CARGO_PKG_VERSION")
        );
        let id = value(&[GENERAL], "service.instance.id");
        assert_eq!((id.len(), &id[14..15]), (36, "4"));
        assert_ne!(id, value(&[GENERAL], "service.instance.id"));
    }
}
