//! The scripts for shells.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use super::run;

#[test]
fn every_shell_gets_a_script_that_knows_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(1, &["completions", shell]).done();
        for word in ["quarantine", "possibly_stored", "accept-double"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn bash_reads_its_script_and_completes() {
    let script = run(1, &["completions", "bash"]).done();
    assert!(bash(&["-n"], &script).is_empty());
    // As bash asks whom `complete` names.
    let asked = r#"
        COMP_WORDS=(meterit-sync quarantine dis); COMP_CWORD=2
        set -- $(complete -p meterit-sync)
        while [ "$1" != -F ]; do shift; done
        "$2" meterit-sync dis quarantine; echo "${COMPREPLY[@]}"
    "#;
    assert_eq!(bash(&[], &(script + asked)), "discard\n");
}

/// What bash prints for a script that it must accept.
fn bash(arguments: &[&str], script: &str) -> String {
    let mut bash = Command::new("bash")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("bash must be installed");
    bash.stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    let output = bash.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
