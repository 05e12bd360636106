//! Compiles C programs against the header and the library of this build, and runs them.
#![allow(dead_code)] // each test file uses some of it

pub mod call_lines;
pub mod envoy;
pub mod header;
pub mod lines;
pub mod machine;
pub mod programs;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use reknock_test_server::{Script, Server};
use serde_json::Value;
use tokio::runtime::Runtime;

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where the library of this build is.
pub fn built() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // Cargo builds a library for the tests of its package only if they link to it as Rust.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        // With the test server, and the features of the Makefile, so that what the tests stand on is there already.
        let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
        let features = makefile.lines().find_map(|line| line.strip_prefix("FEATURES = --features ")).unwrap();
        cargo.args(["build", "--quiet", "--locked", "--features", features]);
        cargo.args(["reknock", "reknock-c", "reknock-test-server"].iter().flat_map(|package| ["--package", package]));
        cargo.arg("--target-dir").arg(target).current_dir(root());
        assert!(cargo.status().unwrap().success());
        target.join("debug")
    })
}

/// A folder with the library of this build under its installed names.
pub fn libraries() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // One per process: another test may have its programs running.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lib-{}", env!("CARGO_CRATE_NAME")));
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["libreknock.so", "libreknock.so.0"] {
            let link = folder.join(name);
            let _ = std::fs::remove_file(&link);
            std::os::unix::fs::symlink(built().join("libreknock.so"), &link).unwrap();
        }
        folder
    })
}

/// C99 as strict as it gets.
pub const C99: &[&str] = &["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-g"];
/// The same programs as C++.
pub const CPP17: &[&str] = &["g++", "-x", "c++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-g"];

/// Whether a tool is there; if not, the test that wanted it says so by name.
pub fn has(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        skipped(&format!("there is no {tool}"));
    }
    found
}

/// Says by name which test did not run; past the test harness, which would swallow it.
pub fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let _ = std::io::stderr().write_all(format!("skipped: {test}: {why}\n").as_bytes());
}

/// What pkg-config says that a program needs besides; `None` if the library is not there, said by name.
pub fn needs(library: &str) -> Option<Vec<String>> {
    let output = Command::new("pkg-config").args(["--cflags", "--libs", library]).output();
    match output {
        Ok(output) if output.status.success() => {
            Some(String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_owned).collect())
        }
        _ => {
            skipped(&format!("what needs {library}, which pkg-config does not find"));
            None
        }
    }
}

/// Compiles a program of tests/c or examples/c.
pub fn compile(source: &str, compiler: &[&str], name: &str) -> PathBuf {
    compile_with(source, compiler, name, &[])
}

/// Likewise, with what else it needs.
pub fn compile_with(source: &str, compiler: &[&str], name: &str, flags: &[String]) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = Command::new(compiler[0]);
    command.args(&compiler[1..]).arg("-I").arg(root().join("include")).arg("-I").arg(root().join("tests/c"));
    command.arg(root().join(source)).args(flags).arg("-o").arg(&program);
    command.arg("-L").arg(libraries()).arg(format!("-Wl,-rpath,{}", libraries().display())).args(["-lreknock", "-lpthread"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{source}:\n{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// Runs a program for at most two minutes; gives what it printed.
pub fn run(program: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.arg("120").arg(program).args(arguments);
    command.env("LD_LIBRARY_PATH", libraries());
    command.output().unwrap()
}

/// What a program printed; it must end with 0.
pub fn printed(program: &Path, arguments: &[&str]) -> String {
    let output = run(program, arguments);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {}\n{out}{err}", program.display(), output.status);
    out.into_owned()
}

/// A scripted server on a runtime of its own.
pub struct Scripts {
    server: Server,
    runtime: &'static Runtime,
}

pub fn scripts() -> Scripts {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| Runtime::new().unwrap());
    Scripts { server: runtime.block_on(Server::start()).unwrap(), runtime }
}

impl Scripts {
    /// Where the server is told of scripts.
    pub fn control(&self) -> &str {
        self.server.url()
    }

    pub fn script(&self, document: Value) -> Script {
        self.runtime.block_on(self.server.script(document)).unwrap()
    }

    /// Tells a script of an attempt that it cannot see.
    pub fn advance(&self, script: &Script) {
        self.runtime.block_on(script.advance());
    }

    /// Waits until a script has no open connection, but not for ever.
    pub fn closed(&self, script: &Script) -> bool {
        self.until(script, || script.open_connections() == 0)
    }

    /// Waits until a script tells that it is so, but not for ever.
    pub fn until(&self, script: &Script, holds: impl FnMut() -> bool) -> bool {
        self.runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), script.until(holds)).await }).is_ok()
    }
}

/// A policy file.
pub fn policy(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path
}
