//! The program's source files without comments, texts and tests.

use std::{fs, path::Path};

/// One file under src/ that is part of the program.
pub struct Source {
    /// From the repository's root.
    pub path: String,
    /// As it is written.
    pub text: String,
    /// Without comments, contents of texts and test modules.
    pub code: String,
    /// The same, but with the contents of texts.
    pub code_with_texts: String,
}

impl Source {
    pub fn new(path: String, text: String) -> Self {
        let (code, code_with_texts) = (strip(&text, false), strip(&text, true));
        Self {
            path,
            code: without_tests(&code),
            code_with_texts: without_tests(&code_with_texts),
            text,
        }
    }

    /// The modules that lead to this file: `actors`, `api_client`, `wire`.
    pub fn modules(&self) -> Vec<String> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let path = path.trim_end_matches("/mod");
        path.split('/').map(str::to_owned).collect()
    }

    /// The first of them.
    pub fn room(&self) -> &str {
        let path = self.path.trim_start_matches("src/");
        path.split(['/', '.']).next().expect("a name")
    }
}

/// All of src/ but the files that exist for tests only.
pub fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(Path::new("src"), &mut found);
    assert!(found.len() > 50, "the sources were found");
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let tests_only =
            ["tests", "tests.rs", "testing.rs"].contains(&name) || name.ends_with("_tests.rs");
        if tests_only {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push(Source::new(path.to_str().unwrap().to_owned(), text));
        }
    }
}

/// Removes comments and, unless they are wanted, the contents of texts.
fn strip(text: &str, keep_texts: bool) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, kept) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), "")
        } else if rest.starts_with("/*") {
            (rest.find("*/").map_or(rest.len(), |end| end + 2), "")
        } else if let Some(length) = raw_text(rest) {
            (length, if keep_texts { &rest[..length] } else { "\"\"" })
        } else if first == '"' {
            let length = plain_text(rest);
            (length, if keep_texts { &rest[..length] } else { "\"\"" })
        } else if let Some(length) = character(rest) {
            (length, "' '")
        } else {
            (first.len_utf8(), &rest[..first.len_utf8()])
        };
        code.push_str(kept);
        rest = &rest[length..];
    }
    code
}

/// The length of a raw text that begins here.
fn raw_text(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after.trim_start_matches('#').strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = rest.len() - body.len();
    Some(start + body.find(&end).map_or(body.len(), |at| at + end.len()))
}

/// The length of the text in quotation marks that begins here.
fn plain_text(rest: &str) -> usize {
    let mut escaped = true;
    for (at, character) in rest.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a character in apostrophes; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('\'')?;
    if let Some(escape) = body.strip_prefix('\\') {
        // The escaped character may itself be an apostrophe.
        let first = escape.chars().next()?.len_utf8();
        return escape[first..].find('\'').map(|end| end + first + 3);
    }
    let length = body.chars().next()?.len_utf8();
    body[length..].starts_with('\'').then_some(length + 2)
}

/// Removes what `#[cfg(test)]` stands before: a module with its contents, or one item.
fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = &rest[item_length(rest)..];
    }
    kept.push_str(rest);
    kept
}

/// Up to the end of the item's braces, or its semicolon where that comes first.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, character) in code.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[test]
fn comments_texts_and_tests_do_not_count() {
    let text = "//! a\nuse b; // c\nlet d = \"e\\\"f\"; let g = r#\"h\"i\"#; let j = '\"'; fn k<'l>() {}\n\
                #[cfg(test)]\nmod m { fn n() {} }\n/* o */ let p = '\\'';";
    let source = Source::new("src/a/b/mod.rs".to_owned(), text.to_owned());
    assert_eq!(
        source.code,
        "\nuse b; \nlet d = \"\"; let g = \"\"; let j = ' '; fn k<'l>() {}\n\n let p = ' ';"
    );
    assert!(source.code_with_texts.contains("r#\"h\"i\"#"));
    assert_eq!(
        (source.room(), source.modules()),
        ("a", vec!["a".to_owned(), "b".to_owned()])
    );
}
