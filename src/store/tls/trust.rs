//! Certificate verification of a TLS connection to PostgreSQL, and the errors when it fails.
//!
//! The modes' meanings are libpq's: `verify-full` checks the chain and the host name, `verify-ca` and a `require` with
//! `sslrootcert` the chain, the others only encrypt. A certificate that is itself in `sslrootcert` is trusted while it
//! is valid, because a self-signed one is both authority and server. Names in the subject's CN are ignored.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::settings::{Mode, Roots, TlsSettings};

/// How rustls is to connect by these settings.
///
/// # Errors
/// When a file of certificates or keys is missing or useless; the text names it.
pub fn client_config(settings: &TlsSettings) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] =
        if settings.only_tls13 { &[&rustls::version::TLS13] } else { rustls::DEFAULT_VERSIONS };
    let check = ServerCheck {
        known: known(&settings.roots)?,
        looks_at_name: settings.mode == Mode::VerifyFull,
        provider: provider.clone(),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| format!("TLS cannot be used: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(check));
    let mut config = match &settings.client {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let key_of = |error| format!("the client key {} cannot be used: {error}", key.display());
            let private = PrivateKeyDer::from_pem_file(key).map_err(key_of)?;
            builder.with_client_auth_cert(certificates(cert)?, private).map_err(|error| {
                format!("the client certificate {} and its key cannot be used: {error}", cert.display())
            })?
        }
    };
    config.enable_sni = settings.send_name;
    Ok(Arc::new(config))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let useless =
        |error: &dyn std::fmt::Display| format!("the certificates in {} cannot be used: {error}", file.display());
    let found = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found {
        Ok(found) if found.is_empty() => Err(useless(&"the file has none")),
        Ok(found) => Ok(found),
        Err(error) => Err(useless(&error)),
    }
}

/// The authorities to check against; `None` when nothing is to be checked.
fn known(roots: &Roots) -> Result<Option<Known>, String> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::Unset => Ok(None),
        Roots::System => {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            // Files of this machine that cannot be read or understood leave the authorities of the web.
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Ok(Some(Known { store, listed: Vec::new() }))
        }
        Roots::File(file) => {
            let listed = certificates(file)?;
            for certificate in &listed {
                store
                    .add(certificate.clone())
                    .map_err(|error| format!("a certificate in {} cannot be an authority: {error}", file.display()))?;
            }
            Ok(Some(Known { store, listed }))
        }
    }
}

#[derive(Debug)]
struct Known {
    store: RootCertStore,
    /// The certificates of `sslrootcert` themselves.
    listed: Vec<CertificateDer<'static>>,
}

#[derive(Debug)]
struct ServerCheck {
    known: Option<Known>,
    looks_at_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCheck {
    fn check_chain(
        &self,
        known: &Known,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(shown)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let outcome = verify_server_cert_signed_by_trust_anchor(&parsed, &known.store, between, now, algorithms);
        match outcome {
            // Time is looked at first, so whatever else was found fault with is in time.
            Err(error) if !is_out_of_time(&error) && known.listed.iter().any(|listed| listed == shown) => Ok(()),
            outcome => outcome,
        }
    }
}

fn is_out_of_time(error: &Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    matches!(
        error,
        Error::InvalidCertificate(Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
    )
}

impl ServerCertVerifier for ServerCheck {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(known) = &self.known {
            self.check_chain(known, shown, between, now)?;
        }
        if self.looks_at_name {
            verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.known.is_none() {
            // The signature proves that the server has the key of a certificate that anybody could have made.
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, shown, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.known.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(message, shown, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Why the handshake failed, for the operator.
pub fn explain(error: &std::io::Error, settings: &TlsSettings) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let authorities = match &settings.roots {
        Roots::File(file) => format!("an authority in {}", file.display()),
        Roots::System | Roots::Unset => "an authority that this machine knows (sslrootcert names another)".to_owned(),
    };
    let host = &settings.server.host;
    match inner {
        // A bad signature is what remains when another authority has the same name.
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
            format!("its certificate is not signed by {authorities}")
        }
        Some(Error::InvalidCertificate(CertificateError::NotValidForName)) => {
            format!("its certificate is not for the host name \"{host}\"")
        }
        Some(Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. })) => {
            let names = if presented.is_empty() { "no name".to_owned() } else { presented.join(", ") };
            format!("its certificate is not for the host name \"{host}\"; its subjectAltName has {names}")
        }
        Some(reason @ Error::InvalidCertificate(_)) if is_out_of_time(reason) => {
            "its certificate has expired or is not valid yet".to_owned()
        }
        Some(reason) => reason.to_string(),
        None => error.to_string(),
    }
}
