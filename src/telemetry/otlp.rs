//! The exporter of metrics: those of the SDK and our own in one request.
//!
//! Traces and logs go out with opentelemetry-otlp's exporters. Metrics can't: its
//! exporter makes the request itself, and over gRPC there is no place to add to it.
//! So this one makes the request, lets [`super::points`] append, and sends it as
//! that one would: to the endpoint, within the timeout, with the user's headers, and
//! with a few attempts when the collector says that it is busy.
//!
//! The SDK calls on a thread of its own and waits. The work is done on the runtime
//! that [`super::Telemetry`] holds, over HTTP too: one deadline then covers all of an
//! export, from the look-up of the collector's name to the last octet of its reply,
//! which a blocking client can't promise; and no client starts a runtime that
//! mustn't be dropped inside of another.
//!
//! Redirects aren't followed: headers hold secrets, and 301 and 302 would make the
//! request a GET that succeeds.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use prost::Message;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use reqwest::{StatusCode, Url};
use tokio::runtime::Handle;
use tonic::Code;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};

use super::counts::Counts;
use super::points;
use super::settings::{Destination, Protocol};

/// Who sends, as OTLP wants it: the exporter, its version and its language.
const AGENT: &str = concat!(
    "namebeat/",
    env!("CARGO_PKG_VERSION"),
    " (OTLP exporter; Rust)"
);

/// Most octets that are read of a reply; it is empty, or says what was refused.
const MAX_REPLY: usize = 64 << 10;

/// Most characters of a collector's words that are repeated.
const MAX_WORDS: usize = 200;

/// Pauses before further attempts, with up to as much again, at random, of the first.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
];

/// Sends metrics to one collector.
#[derive(Debug)]
pub(super) struct MetricExporter {
    counts: Arc<Counts>,
    runtime: Handle,
    timeout: Duration,
    temporality: Temporality,
    /// Absent after shutdown.
    client: Mutex<Option<Client>>,
}

/// How to reach the collector; clones share connections.
#[derive(Clone, Debug)]
enum Client {
    Http(HttpClient),
    Grpc(GrpcClient),
}

#[derive(Clone, Debug)]
struct HttpClient {
    client: reqwest::Client,
    endpoint: Url,
    headers: HeaderMap,
}

#[derive(Clone, Debug)]
struct GrpcClient {
    client: MetricsServiceClient<Channel>,
    metadata: MetadataMap,
}

/// Why an attempt failed.
#[derive(Debug)]
struct Failure {
    reason: String,
    /// Another attempt may succeed.
    is_passing: bool,
}

impl MetricExporter {
    /// Makes an exporter that works on `runtime` and connects when it first sends.
    pub(super) fn new(
        to: &Destination,
        temporality: Temporality,
        counts: Arc<Counts>,
        runtime: Handle,
    ) -> Result<Self, ExporterBuildError> {
        // A channel of tonic's looks for the runtime it is made in.
        let entered = runtime.enter();
        let client = match to.protocol {
            Protocol::HttpProtobuf => Client::Http(HttpClient::new(to)?),
            Protocol::Grpc => Client::Grpc(GrpcClient::new(to)?),
        };
        drop(entered);
        Ok(Self {
            counts,
            runtime,
            timeout: to.timeout,
            temporality,
            client: Mutex::new(Some(client)),
        })
    }

    fn client(&self) -> MutexGuard<'_, Option<Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PushMetricExporter for MetricExporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let client = self.client().clone();
        let client = client.ok_or(OTelSdkError::AlreadyShutdown)?;
        let mut request = ExportMetricsServiceRequest::from(metrics);
        points::append(&mut request, &self.counts, self.counts.epoch.now());
        let limit = self.timeout;
        let sent = self
            .runtime
            .spawn(async move { tokio::time::timeout(limit, client.send(request)).await });
        match sent.await {
            Ok(Ok(result)) => result.map_err(OTelSdkError::InternalFailure),
            Ok(Err(_)) => Err(OTelSdkError::Timeout(limit)),
            // The runtime ends after everything else does.
            Err(error) if error.is_cancelled() => Err(OTelSdkError::AlreadyShutdown),
            Err(error) => Err(OTelSdkError::InternalFailure(error.to_string())),
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        self.client().take();
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}

impl Client {
    /// Sends a request, with a few attempts; fails with the reason of the last.
    async fn send(&self, request: ExportMetricsServiceRequest) -> Result<(), String> {
        let mut pauses = PAUSES.iter();
        loop {
            let result = match self {
                Self::Http(client) => client.attempt(&request).await,
                Self::Grpc(client) => client.attempt(&request).await,
            };
            let failure = match result {
                Ok(reply) => return taken(&reply),
                Err(failure) => failure,
            };
            match pauses.next() {
                Some(pause) if failure.is_passing => {
                    let jitter = PAUSES[0].mul_f64(fastrand::f64());
                    tokio::time::sleep(*pause + jitter).await;
                }
                _ => return Err(failure.reason),
            }
        }
    }
}

impl HttpClient {
    fn new(to: &Destination) -> Result<Self, ExporterBuildError> {
        let bad = |reason: String| ExporterBuildError::InvalidConfiguration(reason);
        let endpoint = Url::parse(&to.endpoint)
            .map_err(|error| bad(format!("endpoint {:?}: {error}", to.endpoint)))?;
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| ExporterBuildError::InternalFailure(because(&error)))?;
        let mut headers = to.headers.clone();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-protobuf"),
        );
        headers
            .entry(USER_AGENT)
            .or_insert(HeaderValue::from_static(AGENT));
        Ok(Self {
            client,
            endpoint,
            headers,
        })
    }

    async fn attempt(
        &self,
        request: &ExportMetricsServiceRequest,
    ) -> Result<ExportMetricsServiceResponse, Failure> {
        let sending = self
            .client
            .post(self.endpoint.clone())
            .headers(self.headers.clone())
            .body(request.encode_to_vec())
            .send();
        // The URL may hold a password.
        let lost = |error: reqwest::Error| Failure {
            reason: because(&error.without_url()),
            is_passing: true,
        };
        let mut response = sending.await.map_err(lost)?;
        let status = response.status();
        if !status.is_success() {
            let is_passing = matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS
                    | StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT
            );
            return Err(Failure {
                reason: format!("HTTP status {status}"),
                // Who asks for a pause gets one: the next export is an interval away.
                is_passing: is_passing && !response.headers().contains_key(RETRY_AFTER),
            });
        }
        let mut reply = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if reply.len() + chunk.len() > MAX_REPLY {
                // It took the request, whatever else it has to say.
                return Ok(ExportMetricsServiceResponse::default());
            }
            reply.extend_from_slice(&chunk);
        }
        // Some collectors reply with words of their own.
        Ok(ExportMetricsServiceResponse::decode(&*reply).unwrap_or_default())
    }
}

impl GrpcClient {
    fn new(to: &Destination) -> Result<Self, ExporterBuildError> {
        let endpoint = Endpoint::from_shared(to.endpoint.clone())
            .and_then(|endpoint| endpoint.user_agent(AGENT))
            .map_err(|error| {
                let reason = format!("endpoint {:?}: {}", to.endpoint, because(&error));
                ExporterBuildError::InvalidConfiguration(reason)
            })?;
        let client = MetricsServiceClient::new(endpoint.connect_lazy());
        Ok(Self {
            client: client.max_decoding_message_size(MAX_REPLY),
            metadata: MetadataMap::from_headers(to.headers.clone()),
        })
    }

    async fn attempt(
        &self,
        request: &ExportMetricsServiceRequest,
    ) -> Result<ExportMetricsServiceResponse, Failure> {
        let mut request = tonic::Request::new(request.clone());
        *request.metadata_mut() = self.metadata.clone();
        // A clone is how a client is used more than once at a time.
        match self.client.clone().export(request).await {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(Failure {
                reason: caused(
                    format!(
                        "gRPC status {:?}: {}",
                        status.code(),
                        quoted(status.message())
                    ),
                    status.source(),
                ),
                is_passing: matches!(
                    status.code(),
                    Code::Aborted
                        | Code::Cancelled
                        | Code::DataLoss
                        | Code::DeadlineExceeded
                        | Code::OutOfRange
                        | Code::Unavailable
                ),
            }),
        }
    }
}

/// Fails if the collector left out points, and says why it did.
fn taken(reply: &ExportMetricsServiceResponse) -> Result<(), String> {
    match &reply.partial_success {
        Some(partial) if partial.rejected_data_points > 0 => Err(format!(
            "{} points were refused: {}",
            partial.rejected_data_points,
            quoted(&partial.error_message)
        )),
        _ => Ok(()),
    }
}

/// An error with what caused it.
fn because(error: &dyn Error) -> String {
    caused(error.to_string(), error.source())
}

/// A text and the causes it doesn't name; some errors leave theirs out, some repeat them.
fn caused(mut text: String, mut cause: Option<&(dyn Error + 'static)>) -> String {
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            let _ = write!(text, ": {words}");
        }
        cause = error.source();
    }
    text
}

/// A collector's words, shortened and without control characters.
fn quoted(words: &str) -> String {
    let short: String = words.chars().take(MAX_WORDS).collect();
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess;

    use super::*;

    #[test]
    fn refused_points_are_a_failure() {
        let reply = |rejected_data_points, error_message: &str| ExportMetricsServiceResponse {
            partial_success: Some(ExportMetricsPartialSuccess {
                rejected_data_points,
                error_message: error_message.to_owned(),
            }),
        };
        assert_eq!(taken(&ExportMetricsServiceResponse::default()), Ok(()));
        // A warning about what was taken.
        assert_eq!(taken(&reply(0, "old")), Ok(()));
        let refused = taken(&reply(3, &format!("too\nold{}", "!".repeat(1000))));
        let refused = refused.unwrap_err();
        assert!(
            refused.starts_with(r#"3 points were refused: "too\nold!"#),
            "{refused}"
        );
        assert!(refused.len() < 300, "{refused}");
    }

    #[test]
    fn causes_are_named_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("{words}")]
        struct Layer {
            words: &'static str,
            source: Option<Box<Self>>,
        }
        let layer = |words, source: Option<Layer>| Layer {
            words,
            source: source.map(Box::new),
        };
        let refused = layer("refused", None);
        let repeats = layer("can't connect: refused", Some(refused));
        let error = layer("can't send", Some(repeats));
        assert_eq!(because(&error), "can't send: can't connect: refused");
    }

    #[test]
    fn a_bad_endpoint_is_named() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
            let to = Destination {
                endpoint: "http://a b".to_owned(),
                protocol,
                timeout: Duration::from_secs(1),
                headers: HeaderMap::new(),
            };
            let temporality = Temporality::default();
            let runtime = runtime.handle().clone();
            let made = MetricExporter::new(&to, temporality, Arc::default(), runtime);
            let error = made.unwrap_err().to_string();
            assert!(error.contains(r#"endpoint "http://a b""#), "{error}");
        }
    }
}
