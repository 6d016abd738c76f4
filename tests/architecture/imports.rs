//! Which modules of this crate a file mentions: `crate::…`, `super::…` and `meterit_sync::…`, in imports and
//! in the middle of the code.

use super::sources::Source;

/// Paths from the crate's root, one for every leaf of an import.
pub fn imports(source: &Source) -> Vec<Vec<String>> {
    let code = &source.code;
    let mut found = Vec::new();
    let mut read_to = 0;
    for (at, _) in code.match_indices("::") {
        let start = word_start(code, at);
        // Only a path's first word counts, and a group's leaves have been read with it.
        if start < read_to || code[..start].ends_with("::") {
            continue;
        }
        let prefix = match &code[start..at] {
            "crate" | "meterit_sync" => Vec::new(),
            "super" => above(source),
            _ => continue,
        };
        read_to = at + 2 + leaves(&code[at + 2..], &prefix, &mut found);
    }
    found.retain(|path| !path.is_empty());
    found
}

fn word_start(code: &str, end: usize) -> usize {
    code[..end]
        .rfind(|character: char| !character.is_alphanumeric() && character != '_')
        .map_or(0, |before| before + 1)
}

/// The module that a file's own module is in.
fn above(source: &Source) -> Vec<String> {
    let mut modules = source.modules();
    modules.pop();
    modules
}

/// Reads a path, and a group in braces leaf by leaf; answers with what it has read.
fn leaves(code: &str, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    let mut at = 0;
    loop {
        at += blank(&code[at..]);
        if code[at..].starts_with('{') {
            return at + group(&code[at..], &path, found);
        }
        let word = word(&code[at..]);
        at += word.len();
        match word {
            "" | "self" => {}
            "super" => {
                path.pop();
            }
            name => path.push(name.to_owned()),
        }
        if !code[at..].starts_with("::") || word.is_empty() {
            found.push(path);
            return at;
        }
        at += 2;
    }
}

fn group(code: &str, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut at = 1;
    while let Some(next) = code[at..].chars().next() {
        if next == '}' {
            return at + 1;
        }
        if next == ',' || next.is_whitespace() {
            at += next.len_utf8();
            continue;
        }
        at += leaves(&code[at..], prefix, found);
        // What follows a leaf is of no interest: ` as other`, `*`.
        at += code[at..].find([',', '}']).unwrap_or(code.len() - at);
    }
    code.len()
}

fn word(code: &str) -> &str {
    let end = code.find(|character: char| !character.is_alphanumeric() && character != '_');
    &code[..end.unwrap_or(code.len())]
}

fn blank(code: &str) -> usize {
    code.len() - code.trim_start().len()
}

#[test]
fn every_way_to_write_an_import_is_read() {
    let text = "use crate::{clock::Clock, domain::{a::{B, C as D}, e}, storage::*};\n\
                use super::{super::heartbeat, group::Changes};\nuse super::super::messages;\n\
                fn f(x: crate::control::Control) { other::crate_::y(); meterit_sync::app::z() }";
    let source = Source::new("src/actors/writer/census.rs".to_owned(), text.to_owned());
    let found: Vec<String> = imports(&source)
        .iter()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(
        found,
        [
            "clock::Clock",
            "domain::a::B",
            "domain::a::C",
            "domain::e",
            "storage",
            "actors::heartbeat",
            "actors::writer::group::Changes",
            "actors::messages",
            "control::Control",
            "app::z"
        ]
    );
}
