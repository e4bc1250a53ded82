//! Tests that need a process of their own.

/// Memory is measured for a whole process, so a test of it runs in a process of its own. `true` in that process;
/// elsewhere the test is run there, to its end, and there is nothing left to do.
pub fn is_alone(module: &str, test: &str) -> bool {
    const ALONE: &str = "PENNYPOST_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let program = std::env::current_exe().expect("this program");
    let name = format!("{}::{test}", module.rsplit("::").next().unwrap_or_default());
    let run = std::process::Command::new(program).args([&name, "--exact"]).env(ALONE, "1").output();
    let run = run.expect("a process");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&run.stderr)
    );
    false
}
