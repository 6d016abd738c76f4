//! The certificate of the local API, read anew when its files change. Files that make no sense change nothing.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use chrono::DateTime;
use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};

use crate::{
    clock::Clock,
    domain::{local_certificate::ExpiringCertificate, timestamp::Timestamp},
    settings::{LocalTlsSettings, pem},
    supervision::published::Published,
};

/// Whoever renews a certificate does not wait for us, and two small files cost nothing.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const WARN_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// The certificate that is shown. All clones are the same.
#[derive(Clone, Debug)]
pub(super) struct LocalCertificate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: LocalTlsSettings,
    shown: RwLock<Arc<CertifiedKey>>,
    /// Until when the first certificate of it is valid, as far as that can be read.
    expires: Published<Option<Timestamp>>,
    /// What the files held when they were last read, whether it was of use or not.
    read: Mutex<Option<[u8; 32]>>,
}

impl ResolvesServerCert for Inner {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        Some(shown.clone())
    }
}

impl LocalCertificate {
    /// Reads the files.
    ///
    /// # Errors
    /// In words, when they cannot be used.
    pub(super) fn new(files: &LocalTlsSettings) -> Result<Self, String> {
        let contents = Contents::of(files)?;
        let shown = contents.pair(files)?;
        Ok(Self(Arc::new(Inner {
            files: files.clone(),
            expires: Published::new(expires(&shown)),
            shown: RwLock::new(Arc::new(shown)),
            read: Mutex::new(Some(contents.digest())),
        })))
    }

    /// TLS 1.2 and later, always with the certificate of the moment.
    ///
    /// # Errors
    /// When the library contradicts itself, which no input can bring about.
    pub(super) fn server_config(&self) -> Result<ServerConfig, rustls::Error> {
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.0.clone());
        Ok(config)
    }

    /// Reads the files again and shows what they hold from now on; tells how that went where they hold something new.
    pub(super) fn read_again(&self) {
        let files = &self.0.files;
        let mut read = self.0.read.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = Contents::of(files);
        let digest = contents.as_ref().ok().map(Contents::digest);
        if *read == digest {
            return;
        }
        *read = digest;
        match contents.and_then(|contents| contents.pair(files)) {
            Ok(pair) => {
                self.0.expires.set(expires(&pair));
                *self.0.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                tracing::info!("the local API shows another certificate from now on");
            }
            Err(why) => {
                tracing::error!(
                    why,
                    "the local API goes on with the certificate that it had; correct the files, they are read again by themselves"
                );
            }
        }
    }

    /// Looks after the files for as long as it is polled, and tells now and then where the certificate expires soon.
    pub(super) async fn keep(self, clock: Clock) {
        let mut warned: Option<(Timestamp, Duration)> = None;
        loop {
            let expires = self.0.expires.get();
            let is_told = warned.is_some_and(|(told, at)| {
                Some(told) == expires && clock.elapsed().saturating_sub(at) < WARN_EVERY
            });
            if let Some(expires) = expires.filter(|_| !is_told)
                && warn_of_its_end(expires, Timestamp(clock.now()))
            {
                warned = Some((expires, clock.elapsed()));
            }
            clock.sleep(LOOK_EVERY).await;
            let certificate = self.clone();
            // Where this is lost, the next look makes up for it.
            let _ = tokio::task::spawn_blocking(move || certificate.read_again()).await;
        }
    }

    /// Until when the certificate that is shown is valid.
    pub(super) fn expires(&self) -> Published<Option<Timestamp>> {
        self.0.expires.clone()
    }
}

fn expires(shown: &CertifiedKey) -> Option<Timestamp> {
    let (_, certificate) = x509_parser::parse_x509_certificate(shown.cert.first()?).ok()?;
    let seconds = certificate.validity().not_after.timestamp();
    DateTime::from_timestamp(seconds, 0).map(Timestamp)
}

/// Whether there was a reason to.
fn warn_of_its_end(expires: Timestamp, now: Timestamp) -> bool {
    let Some(expiring) = ExpiringCertificate::of(expires, now) else {
        return false;
    };
    if expiring.has_expired() {
        tracing::error!(
            %expires,
            "the certificate of the local API has expired, so that clients refuse it; renew the file that LOCAL_TLS_CERT_FILE names, it is read again by itself"
        );
    } else {
        tracing::warn!(
            %expires,
            "the certificate of the local API expires soon, and clients refuse it then; renew the file that LOCAL_TLS_CERT_FILE names, it is read again by itself"
        );
    }
    true
}

struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Contents {
    fn of(files: &LocalTlsSettings) -> Result<Self, String> {
        let read = |path: &Path| {
            std::fs::read(path)
                .map_err(|error| format!("{} cannot be read ({error})", path.display()))
        };
        Ok(Self {
            certificate: read(&files.cert_file)?,
            key: read(&files.key_file)?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let each = [&self.certificate, &self.key].map(Sha256::digest);
        Sha256::digest(each.concat()).into()
    }

    fn pair(&self, files: &LocalTlsSettings) -> Result<CertifiedKey, String> {
        let in_file = |path: &Path, why: &str| format!("{}: {why}", path.display());
        let chain =
            pem::certificates(&self.certificate).map_err(|why| in_file(&files.cert_file, &why))?;
        let key = pem::private_key(&self.key).map_err(|why| in_file(&files.key_file, &why))?;
        pem::pair(chain, key).map_err(|error| {
            format!(
                "the certificate in {} and the key in {} do not make a pair ({error})",
                files.cert_file.display(),
                files.key_file.display()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use rcgen::{CertifiedKey as Generated, generate_simple_self_signed};
    use rustls::pki_types::CertificateDer;
    use tempfile::TempDir;

    use super::*;

    fn write(folder: &TempDir, certificate: &str, key: &str) -> LocalTlsSettings {
        let [cert_file, key_file] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        std::fs::write(&cert_file, certificate).expect("a file");
        std::fs::write(&key_file, key).expect("a file");
        LocalTlsSettings {
            cert_file,
            key_file,
        }
    }

    fn generated() -> (String, String, CertificateDer<'static>) {
        let Generated { cert, signing_key } =
            generate_simple_self_signed(["edge-7".to_owned()]).expect("a certificate");
        (cert.pem(), signing_key.serialize_pem(), cert.der().clone())
    }

    fn shown(certificate: &LocalCertificate) -> CertificateDer<'static> {
        let shown = certificate.0.shown.read().expect("a certificate");
        shown.cert[0].clone()
    }

    #[test]
    fn files_that_change_are_taken_and_those_that_make_no_sense_are_not() {
        let folder = TempDir::new().expect("a folder");
        let (first, second) = (generated(), generated());
        let files = write(&folder, &first.0, &first.1);
        let certificate = LocalCertificate::new(&files).expect("a pair");
        certificate.read_again();
        assert_eq!(shown(&certificate), first.2);
        // The certificate is written before its key.
        for (bad, key) in [(&second.0, &first.1), (&"nonsense".to_owned(), &first.1)] {
            write(&folder, bad, key);
            certificate.read_again();
            assert_eq!(shown(&certificate), first.2);
        }
        std::fs::remove_file(&files.key_file).expect("a file");
        certificate.read_again();
        assert_eq!(shown(&certificate), first.2);
        write(&folder, &second.0, &second.1);
        certificate.read_again();
        assert_eq!(shown(&certificate), second.2);
    }

    #[test]
    fn an_end_that_is_near_is_told() {
        let folder = TempDir::new().expect("a folder");
        let generated = generated();
        let files = write(&folder, &generated.0, &generated.1);
        let certificate = LocalCertificate::new(&files).expect("a pair");
        let expires = certificate.expires().get().expect("a time");
        assert_eq!(expires.to_string(), "4096-01-01T00:00:00.000Z");
        for (days_left, is_told) in [(15, false), (14, true), (1, true), (0, true), (-9, true)] {
            let now = Timestamp(expires.0 - TimeDelta::days(days_left));
            assert_eq!(warn_of_its_end(expires, now), is_told, "{days_left}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_the_file() {
        let folder = TempDir::new().expect("a folder");
        let (first, second) = (generated(), generated());
        for (certificate, key, words) in [
            ("", first.1.as_str(), "cert.pem: it holds no certificate"),
            (&first.0, "", "key.pem: it holds no private key"),
            (&first.0, &second.1, "do not make a pair"),
        ] {
            let files = write(&folder, certificate, key);
            let why = LocalCertificate::new(&files).expect_err(words);
            assert!(why.contains(words), "{why}");
            assert!(!why.contains("PRIVATE"), "{why}");
        }
    }
}
