//! Mistakes in a script document.

use reknock_test_server::{Error, Server};
use serde_json::{Value, json};

use crate::client::Test;

#[tokio::test]
async fn mistakes_name_the_place_and_the_value() -> Test {
    let server = Server::start().await?;
    let wrong: &[(Value, &str)] = &[
        (json!(5), "document: must be an object with the key script, or an array of outcomes, got 5"),
        (json!({}), "script: is missing"),
        (json!([]), "script: must be an array of 1 to 10000 outcomes, got []"),
        (json!([7]), "script[0]: must be an object, got 7"),
        (json!([{"do": "echo"}, {}]), "script[1].do: is missing"),
        (json!([{"do": "status"}]), "script[0].status: is missing"),
        (json!([{"do": "hang", "delay": 5}]), "script[0].delay: must be a duration string such as \"50ms\" or \"2s\", got 5"),
        (json!([{"do": "hang", "after": 5}]), "script[0].after: unknown key (known here: do, delay, read_body), got 5"),
        (json!([{"do": "status", "status": 200, "after": 5}]), "script[0].after: needs body_mode"),
        (
            json!([{"do": "status", "status": 200, "drip": {"bytes": 0, "every": "1ms"}}]),
            "script[0].drip.bytes: must be an integer from 1 to 1073741824, got 0",
        ),
        (
            json!([{"do": "status", "status": 200, "headers": [["a", 1]]}]),
            "script[0].headers[0]: must be [name, value], both strings, got [\"a\",1]",
        ),
        (
            json!([{"do": "status", "status": 200, "headers": [["a", "b\r\nc"]]}]),
            "script[0].headers[0]: is not a header value, got \"b\\r\\nc\"",
        ),
        (json!([{"do": "partial-head", "end": "rst"}]), "script[0].end: must be one of fin, reset, stall, got \"rst\""),
        (json!([{"do": "tls-alert"}]), "script[0].do: tls-alert needs the key tls"),
        (json!({"script": [{"do": "h2-close"}], "http2": false}), "http2: is false, yet the script has h2-* outcomes"),
        (json!({"script": [{"do": "echo"}], "client_cert": true}), "client_cert: needs the key tls"),
    ];
    for (document, expected) in wrong {
        match server.script(document.clone()).await {
            Err(Error::Document(error)) => assert_eq!(&error.to_string(), expected),
            _ => return Err(format!("accepted: {document}").into()),
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_shapes_of_the_recorded_envoy_scripts_are_accepted() -> Test {
    let server = Server::start().await?;
    let script = json!([
        {"do": "status", "status": 503, "headers": [["x-ratelimit-reset", "$now+2"]]},
        {"do": "status", "status": 200, "body_mode": "truncate-fin"},
        {"do": "status", "status": 200, "body_mode": "truncate-reset"},
        {"do": "status", "status": 200, "body_mode": "stall"},
        {"do": "reset"}, {"do": "close"}, {"do": "partial-head", "end": "fin"}, {"do": "garbage"},
        {"do": "refused"}, {"do": "connect-timeout"}, {"do": "accept-close"}, {"do": "hang"},
        {"do": "h2-rst", "code": 7}, {"do": "h2-goaway", "code": 0}, {"do": "h2-close"},
    ]);
    server.script(script).await?;
    Ok(())
}
