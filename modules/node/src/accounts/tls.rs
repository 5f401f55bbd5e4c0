//! TLS to databases: what of the server's certificate is proven.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::PathBuf;
use std::sync::Arc;

/// How a database is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// In clear.
    Off,
    /// Encrypted, to whoever answers.
    Encrypted,
    /// Encrypted, and the certificate is the host's, from an authority of this file, or from a public one.
    Verified(Option<PathBuf>),
}

impl Tls {
    /// For rustls; `None`: no TLS.
    ///
    /// # Errors
    /// The authorities cannot be read.
    pub(super) fn client(&self) -> Result<Option<ClientConfig>, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        Ok(match self {
            Tls::Off => None,
            Tls::Encrypted => {
                let whoever = Arc::new(Whoever(provider));
                Some(builder.dangerous().with_custom_certificate_verifier(whoever).with_no_client_auth())
            }
            Tls::Verified(authorities) => {
                Some(builder.with_root_certificates(roots(authorities.as_ref())?).with_no_client_auth())
            }
        })
    }

    /// For the client of MySQL; `None`: no TLS.
    pub(super) fn mysql(&self) -> Option<mysql_async::SslOpts> {
        let options = mysql_async::SslOpts::default();
        match self {
            Tls::Off => None,
            Tls::Encrypted => {
                Some(options.with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true))
            }
            Tls::Verified(None) => Some(options),
            Tls::Verified(Some(path)) => {
                Some(options.with_root_certs(vec![path.clone().into()]).with_disable_built_in_roots(true))
            }
        }
    }
}

fn roots(authorities: Option<&PathBuf>) -> Result<RootCertStore, String> {
    let Some(path) = authorities else {
        return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
    };
    let wrong = |why: String| format!("tls_authorities {}: {why}", path.display());
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))? {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        store.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if store.is_empty() { Err(wrong("has no certificate".to_owned())) } else { Ok(store) }
}

/// Takes every certificate, but not every signature: who answers has its key.
#[derive(Debug)]
struct Whoever(Arc<CryptoProvider>);

impl ServerCertVerifier for Whoever {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn authorities_that_cannot_be_read_are_named() {
        assert!(Tls::Off.client().unwrap().is_none() && Tls::Encrypted.client().unwrap().is_some());
        assert!(Tls::Verified(None).client().unwrap().is_some());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        for (text, why) in [(None, "No such file"), (Some("nothing"), "no certificate")] {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            let error = Tls::Verified(Some(path.clone())).client().unwrap_err();
            assert!(error.contains("ca.pem") && error.contains(why), "{error}");
        }
    }
}
