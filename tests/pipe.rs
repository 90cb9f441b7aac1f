//! A reader that has seen enough is no error.
#![cfg(unix)]

mod common;

use std::os::unix::process::ExitStatusExt;

use common::finecap;

#[test]
fn a_closed_pipe_ends_a_command_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = finecap().arg("doctor").stdout(writer).output().unwrap();
    assert_eq!(output.status.signal(), Some(libc::SIGPIPE));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
