//! The library as somebody finds it who installed it: names, exports, pkg-config, CMake.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::header::functions;
use support::{built, has, root, skipped};

const MACHINE: &str = "attempt 1: retry\nattempt 2: retry\nattempt 3: completed\n";

/// An installation of this build.
fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prefix");
        let _ = std::fs::remove_dir_all(&prefix);
        let status = Command::new(root().join("bindings/c/install")).arg(&prefix).arg(built()).status();
        assert!(status.unwrap().success());
        prefix
    })
}

/// What a command printed; it must end with 0.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(program: &Path) -> String {
    output(Command::new("timeout").arg("60").arg(program).env("LD_LIBRARY_PATH", prefix().join("lib")))
}

#[test]
fn pkg_config_links_both_ways() {
    if !has("pkg-config") {
        return;
    }
    let flags = |arguments: &[&str]| -> Vec<String> {
        let mut command = Command::new("pkg-config");
        command.args(arguments).arg("reknock").env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"));
        output(&mut command).split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(flags(&["--modversion"]), [env!("CARGO_PKG_VERSION")]);
    for (name, wanted) in [("pc_shared", &["--cflags", "--libs"][..]), ("pc_static", &["--cflags", "--libs", "--static"])] {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut flags = flags(wanted);
        if name == "pc_static" {
            // Both libraries are there, and the linker would take the shared one.
            flags.iter_mut().filter(|flag| *flag == "-lreknock").for_each(|flag| *flag = "-l:libreknock.a".to_owned());
        }
        output(Command::new("cc").arg(root().join("examples/c/machine.c")).args(&flags).arg("-o").arg(&program));
        assert_eq!(run(&program), MACHINE);
        let needed = output(Command::new("readelf").arg("-d").arg(&program));
        assert_eq!(needed.contains("[libreknock.so.0]"), name == "pc_shared", "{needed}");
        std::fs::remove_file(program).unwrap(); // 50 MB
    }
}

/// CMake from the path, or from PyPI in a folder of the build.
fn cmake() -> Option<PathBuf> {
    if Command::new("cmake").arg("--version").output().is_ok() {
        return Some("cmake".into());
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cmake-venv");
    let cmake = folder.join("bin/cmake");
    if !cmake.exists() {
        let venv = Command::new("python3").args(["-m", "venv"]).arg(&folder).output();
        let installed = venv.and_then(|_| Command::new(folder.join("bin/pip")).args(["install", "--quiet", "cmake"]).output());
        if !installed.is_ok_and(|output| output.status.success()) {
            skipped("there is no cmake, and none could be installed");
            return None;
        }
    }
    Some(cmake)
}

#[test]
fn cmake_finds_the_package_and_links_both_ways() {
    let Some(cmake) = cmake() else { return };
    let build = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cmake-build");
    let _ = std::fs::remove_dir_all(&build);
    let mut configure = Command::new(&cmake);
    configure.arg("-S").arg(root().join("tests/c/cmake")).arg("-B").arg(&build);
    output(configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix().display())));
    output(Command::new(&cmake).arg("--build").arg(&build));
    assert_eq!(run(&build.join("shared")), MACHINE);
    assert_eq!(run(&build.join("static")), MACHINE);
    std::fs::remove_dir_all(build).unwrap(); // 50 MB
}

/// Every function of the header is exported, and nothing else is.
#[test]
fn the_exports_are_the_header() {
    let library = prefix().join("lib/libreknock.so");
    let soname = output(Command::new("readelf").arg("-d").arg(&library));
    assert!(soname.contains("soname: [libreknock.so.0]"), "{soname}");
    let symbols = output(Command::new("nm").args(["-D", "--defined-only"]).arg(&library));
    let mut exported: Vec<&str> = symbols.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    exported.sort_unstable();
    let functions = functions();
    let mut declared: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
    declared.sort_unstable();
    assert_eq!(exported, declared);
}
