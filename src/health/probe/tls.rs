//! TLS of probes: certificates verified against the system's roots and the operator's,
//! or, where a check doesn't ask for that, not at all.
//!
//! By default what is asked is whether the instance answers, not who it is: it's
//! reached by address, which certificates seldom name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, SignatureScheme};

use super::{ProbeError, Target};
use crate::registry::check::Tls;

/// TLS can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of certificates can't be read.
    #[error("check_ca: {file}: no certificates can be read from it: {1}", file = .0.display())]
    Unreadable(PathBuf, pem::Error),
    /// There's none in it.
    #[error("check_ca: {file} has no certificate; it's to have one or more in PEM", file = .0.display())]
    Empty(PathBuf),
    /// TLS itself.
    #[error("TLS of checks can't be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// What TLS connections are made with.
#[derive(Clone)]
pub(super) struct TlsClients {
    /// Why nothing can be verified, where the system has no certificates to do it with.
    verifying: Result<Insides, Arc<str>>,
    trusting: Insides,
}

/// A connector for each thing that is spoken inside.
#[derive(Clone)]
struct Insides {
    http1: TlsConnector,
    http2: TlsConnector,
}

/// What is spoken inside of TLS (ALPN, [RFC 7301](https://www.rfc-editor.org/rfc/rfc7301)).
#[derive(Clone, Copy, Debug)]
pub(super) enum Inside {
    /// `http/1.1`.
    Http1,
    /// `h2`.
    Http2,
}

impl TlsClients {
    /// Trusts the system's roots, and those in the PEM file `ca`.
    pub(super) fn new(ca: Option<&Path>) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = ca.map_or(Ok(Vec::new()), certificates)?;
        let verifying = match Verifier::new_with_extra_roots(roots, provider.clone()) {
            Ok(verifier) => Ok(Insides::new(Arc::new(verifier), provider.clone())?),
            // That's for those checks to tell that want it.
            Err(error) => Err(format!("no certificate can be verified here: {error}").into()),
        };
        let trusting = Arc::new(Trusting(provider.clone()));
        Ok(Self {
            verifying,
            trusting: Insides::new(trusting, provider)?,
        })
    }

    /// Opens a connection to `target`.
    pub(super) async fn connect(
        &self,
        target: &Target,
        tls: &Tls,
        inside: Inside,
    ) -> Result<TlsStream<TcpStream>, ProbeError> {
        let stream = TcpStream::connect(target.address).await?;
        let name = match tls.name.as_deref().or(target.name.as_deref()) {
            Some(name) => ServerName::try_from(name.to_owned())?,
            None => ServerName::IpAddress(target.address.ip().into()),
        };
        let insides = match tls.verify {
            true => self.verifying.as_ref().map_err(|why| why.to_string())?,
            false => &self.trusting,
        };
        let connector = match inside {
            Inside::Http1 => &insides.http1,
            Inside::Http2 => &insides.http2,
        };
        Ok(connector.connect(name, stream).await?)
    }
}

/// The certificates in a PEM file.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |error| TlsError::Unreadable(file.to_owned(), error);
    let found = CertificateDer::pem_file_iter(file).map_err(unreadable)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(unreadable)?;
    match found.is_empty() {
        true => Err(TlsError::Empty(file.to_owned())),
        false => Ok(found),
    }
}

impl Insides {
    fn new(
        verifier: Arc<dyn ServerCertVerifier>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        // Each probe is to see the whole handshake.
        config.resumption = rustls::client::Resumption::disabled();
        let speaking = |protocol: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            TlsConnector::from(Arc::new(config))
        };
        Ok(Self {
            http1: speaking(b"http/1.1"),
            http2: speaking(b"h2"),
        })
    }
}

/// Takes every certificate; signatures must be right all the same.
#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let schemes = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, schemes)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let schemes = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, schemes)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
