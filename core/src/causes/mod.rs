//! What lies at the bottom of errors of others: by types alone, never by message text.

#[cfg(feature = "rustls")]
pub mod tls;

use std::error::Error as StdError;
use std::io;

/// Whether this machine alone is at fault: it has no descriptor, port or memory left.
pub(crate) fn is_local(error: &io::Error) -> bool {
    #[cfg(unix)]
    return matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EADDRNOTAVAIL | libc::EAGAIN)
    );
    #[cfg(not(unix))]
    return matches!(error.kind(), io::ErrorKind::OutOfMemory | io::ErrorKind::AddrNotAvailable);
}

/// The first error of type `T` in the chain. `io::Error::source` skips its own payload, and that is where rustls hides.
pub(crate) fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    chain(error).find_map(|error| error.downcast_ref::<T>())
}

/// The last error of the chain: the cause of all others.
#[cfg(feature = "client")]
pub(crate) fn root<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    chain(error).last().unwrap_or(error)
}

/// The error and its sources, one by one.
pub(crate) fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(payload) => Some(payload as &(dyn StdError + 'static)),
        None => error.source(),
    })
}
