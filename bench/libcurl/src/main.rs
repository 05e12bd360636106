//! Links the C program, which has the `main`, with libcurl.
#![no_main]

extern crate curl_sys;
