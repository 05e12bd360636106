//! Versions. The macros of the same values are written into the header by xtask.
#![allow(unsafe_code)] // exported names

use std::ffi::c_char;

/// A part of a version number.
const fn number(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let (mut at, mut value) = (0, 0);
    while at < bytes.len() {
        value = value * 10 + (bytes[at] - b'0') as u32;
        at += 1;
    }
    value
}

/// The version of the library that is running, as a number: MAJOR * 1000000 + MINOR * 1000 + PATCH.
///
/// Compare with REKNOCK_VERSION_NUMBER, the version of the header. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_version_number() -> u32 {
    const NUMBER: u32 = number(env!("CARGO_PKG_VERSION_MAJOR")) * 1_000_000
        + number(env!("CARGO_PKG_VERSION_MINOR")) * 1000
        + number(env!("CARGO_PKG_VERSION_PATCH"));
    NUMBER
}

/// The version of the library that is running, as a static text such as "0.1.0". Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The ABI of the library that is running. A program works with every library of the ABI it was compiled for
/// (REKNOCK_ABI_VERSION); the shared library carries the number in its soname. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_abi_version() -> u32 {
    const ABI: u32 = number(env!("REKNOCK_ABI"));
    ABI
}
