//! What README and docs say can be done.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap())
}

/// README and the pages of docs.
fn pages() -> Vec<(String, String)> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = docs.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    let pages = pages.chain([root().join("README.md"), root().join("PARITY.md")]);
    pages.map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap())).collect()
}

/// The shell's commands in a page: lines of `sh` blocks, joined where they go on.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for block in text.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap().replace("\\\n", " ");
        commands
            .extend(block.lines().map(|line| line.split(" #").next().unwrap().trim().to_string()));
    }
    commands
}

fn help(words: &[&str]) -> Option<String> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_finecap")).args(words).arg("--help").output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn every_command_in_the_documentation_exists_with_its_options() {
    let mut checked = 0;
    for (page, text) in pages() {
        for command in commands(&text) {
            let words: Vec<&str> = command.split_whitespace().collect();
            if words.first() != Some(&"finecap") {
                continue;
            }
            let groups = ["embed", "features", "eval", "data"];
            let depth = if groups.contains(&words[1]) { 2 } else { 1 };
            let Some(help) = help(&words[1..=depth]) else { panic!("{page}: {command}") };
            for option in words.iter().filter(|word| word.starts_with("--")) {
                let option = option.split('=').next().unwrap();
                assert!(help.contains(option), "{page}: {option} in `{command}`");
            }
            checked += 1;
        }
    }
    assert!(checked > 25, "only {checked} commands");
}

#[test]
fn every_link_and_file_in_the_documentation_is_there() {
    for (page, text) in pages() {
        let folder = Path::new(&page).parent().unwrap().to_path_buf();
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let file = target.split('#').next().unwrap();
            if file.is_empty() || file.starts_with("http") {
                continue;
            }
            assert!(folder.join(file).exists(), "{page}: {target}");
        }
        for name in text.split('`').skip(1).step_by(2) {
            let is_ours = ["examples/", "configs/", "crates/", "fixtures/"]
                .iter()
                .any(|start| name.starts_with(start));
            if is_ours && !name.contains([' ', '*', '{']) {
                assert!(root().join(name).exists(), "{page}: {name}");
            }
        }
    }
}
