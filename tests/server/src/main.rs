//! `reknock-test-server [--stay]`: serves until stdin ends, so that it never outlives the test that started it.

use std::io::{Read, Write};
use std::process::ExitCode;

use reknock_test_server::Server;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let stay = match arguments.as_slice() {
        [] => false,
        [flag] if flag == "--stay" => true,
        _ => {
            eprintln!("usage: reknock-test-server [--stay]\n  --stay  keep serving after stdin has ended");
            return ExitCode::from(2);
        }
    };
    match run(stay) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reknock-test-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(stay: bool) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let server = runtime.block_on(Server::start())?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "reknock-test-server {}", server.url())?;
    stdout.flush()?;
    if stay {
        runtime.block_on(std::future::pending::<()>());
    }
    let mut scratch = [0; 1024];
    while matches!(std::io::stdin().read(&mut scratch), Ok(1..)) {}
    // Whatever a connection is doing, nobody waits for it any more.
    std::process::exit(0);
}
