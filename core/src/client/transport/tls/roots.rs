//! The files that the system's roots come from, as far as that tells whether they have changed.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::files;

/// Where OpenSSL looks, too. Changes of a system's own store elsewhere show in none of these files, and come with the next process.
const USUAL: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The state of the roots at one moment.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Roots {
    file: Option<OsString>,
    directories: Option<OsString>,
    seen: Vec<Option<Seen>>,
}

/// What a file looks like from outside.
#[derive(Clone, PartialEq, Eq)]
struct Seen {
    changed: Option<SystemTime>,
    length: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Roots {
    pub(super) fn look() -> Self {
        let (file, directories) = named();
        let mut paths: Vec<_> = file.iter().map(|file| Path::new(file).to_owned()).collect();
        paths.extend(directories.iter().flat_map(std::env::split_paths));
        if paths.is_empty() {
            paths.extend(USUAL.iter().map(Into::into));
        }
        let seen = paths.iter().map(|path| Seen::of(path)).collect();
        Roots { file, directories, seen }
    }
}

impl Seen {
    fn of(path: &Path) -> Option<Self> {
        let data = fs::metadata(path).ok()?;
        Some(Seen {
            changed: data.modified().ok(),
            length: data.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(&data),
        })
    }
}

/// What the user says in the environment, as OpenSSL reads it.
#[allow(clippy::disallowed_methods)] // where the roots are is the environment's to say
fn named() -> (Option<OsString>, Option<OsString>) {
    (std::env::var_os("SSL_CERT_FILE"), std::env::var_os("SSL_CERT_DIR"))
}

/// The certificates of the file that the user names in the environment. `None` if that is no file that can be read to its end: nobody may try.
pub(super) fn of_the_user() -> Option<Vec<CertificateDer<'static>>> {
    let Some(file) = named().0 else { return Some(Vec::new()) };
    match files::read(Path::new(&file), files::MOST_PEM) {
        Ok(pem) => Some(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect()),
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData) => None,
        Err(_) => Some(Vec::new()),
    }
}
