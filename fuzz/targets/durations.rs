//! Any text as a duration: what is read is written as a text that means the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reknock::{DurationText, parse_duration};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(duration) = parse_duration(text) else { return };
    let written = DurationText(duration).to_string();
    assert_eq!(parse_duration(&written), Some(duration), "{text:?} became {written:?}");
});
