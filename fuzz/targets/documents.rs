//! Any text as a YAML, JSON or TOML document: an error or a policy, never a panic; a policy survives every way of writing it down.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use reknock::policy::{Keys, Value};
use reknock::{ErrorKind, Policy};

fuzz_target!(|data: &[u8]| {
    let Some((language, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let value = match language % 3 {
        0 => Value::from_yaml(text),
        1 => Value::from_json(text),
        _ => Value::from_toml(text),
    };
    let keys = if language & 4 == 0 { Keys::Snake } else { Keys::Either };
    match value.and_then(|value| Policy::from_value_with(&value, keys)) {
        Ok(policy) => holds(&policy),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Config);
            let message = error.to_string();
            assert!(!message.is_empty() && !message.contains('\n'), "{message:?}");
        }
    }
});

fn holds(policy: &Policy) {
    assert_eq!(&Policy::from_value(&policy.to_value()).expect("its own value"), policy);
    assert_eq!(&Policy::from_value(&policy.to_short_value()).expect("its own short value"), policy);
    assert_eq!(&Policy::from_yaml(&policy.to_yaml()).expect("its own YAML"), policy);
    assert_eq!(&Policy::from_yaml(&policy.to_string()).expect("its own text"), policy);
    assert_eq!(&Policy::from_json(&policy.to_json()).expect("its own JSON"), policy);
    assert_eq!(&policy.to_builder().build().expect("its own builder"), policy);
    let mut previous = Duration::ZERO;
    for n in [1, 2, 3, 64, 1000, u32::MAX] {
        let (least, most) = policy.backoff().range(n);
        previous = policy.backoff().wait(n, previous, 0.5);
        assert!(least <= most);
    }
}
