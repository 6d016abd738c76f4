//! Edits a stored CREATE TABLE statement without understanding more of it than needed.

use std::ops::Range;

/// A piece of SQL; comments and white space lie between them.
#[derive(Debug)]
struct Token {
    range: Range<usize>,
    is_word: bool,
}

/// Whether the table never gives an id twice.
pub(super) fn has_autoincrement(definition: &str) -> bool {
    tokens(definition)
        .iter()
        .any(|token| is(definition, token, "AUTOINCREMENT"))
}

/// The same table under another name; none where the statement is not understood.
pub(super) fn rename(definition: &str, name: &str) -> Option<String> {
    let tokens = tokens(definition);
    let [create, table, old_name, ..] = tokens.as_slice() else {
        return None;
    };
    if !is(definition, create, "CREATE") || !is(definition, table, "TABLE") {
        return None;
    }
    let mut renamed = definition.to_owned();
    renamed.replace_range(old_name.range.clone(), &quote(name));
    Some(renamed)
}

/// The same table with AUTOINCREMENT on its primary key; none where the statement is not understood.
pub(super) fn add_autoincrement(definition: &str) -> Option<String> {
    let tokens = tokens(definition);
    let key = tokens
        .windows(2)
        .position(|pair| is(definition, &pair[0], "PRIMARY") && is(definition, &pair[1], "KEY"))?
        + 2;
    let at = match tokens.get(key) {
        Some(token) if text(definition, token) == "(" => {
            let closing = tokens[key..]
                .iter()
                .find(|token| text(definition, token) == ")")?;
            closing.range.start
        }
        _ => end_of_column_key(definition, &tokens, key)?,
    };
    let mut edited = definition.to_owned();
    edited.insert_str(at, " AUTOINCREMENT ");
    Some(edited)
}

/// Quoted, so that any name is a name.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Where `PRIMARY KEY [ASC] [ON CONFLICT …]` ends whose next token is `next`.
fn end_of_column_key(definition: &str, tokens: &[Token], mut next: usize) -> Option<usize> {
    let follows = |next: usize, word| {
        tokens
            .get(next)
            .is_some_and(|token| is(definition, token, word))
    };
    if follows(next, "ASC") {
        next += 1;
    }
    if follows(next, "ON") && follows(next + 1, "CONFLICT") {
        next += 3;
    }
    tokens
        .get(next.checked_sub(1)?)
        .map(|token| token.range.end)
}

fn text<'a>(definition: &'a str, token: &Token) -> &'a str {
    &definition[token.range.clone()]
}

fn is(definition: &str, token: &Token, word: &str) -> bool {
    token.is_word && text(definition, token).eq_ignore_ascii_case(word)
}

fn tokens(sql: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = sql[at..].chars().next() {
        let rest = &sql[at..];
        let length = match first {
            _ if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '\'' | '"' | '`' => quoted_length(rest, first),
            '[' => rest.find(']').map_or(rest.len(), |end| end + 1),
            _ if is_word_character(first) => rest
                .find(|character| !is_word_character(character))
                .unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let is_comment = rest.starts_with("--") || rest.starts_with("/*");
        if !is_comment && !first.is_whitespace() {
            tokens.push(Token {
                range: at..at + length,
                is_word: is_word_character(first),
            });
        }
        at += length;
    }
    tokens
}

/// The length of a quoted piece in which a doubled quote stands for itself.
fn quoted_length(rest: &str, quote: char) -> usize {
    let mut from = 1;
    while let Some(found) = rest[from..].find(quote) {
        let end = from + found + 1;
        if !rest[end..].starts_with(quote) {
            return end;
        }
        from = end + 1;
    }
    rest.len()
}

fn is_word_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '$'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keyword_goes_where_sqlite_expects_it() {
        let cases = [
            (
                "CREATE TABLE r (id INTEGER PRIMARY KEY, x)",
                "CREATE TABLE r (id INTEGER PRIMARY KEY AUTOINCREMENT , x)",
            ),
            (
                "CREATE TABLE r (id INTEGER primary /* the */ key asc ON CONFLICT ABORT NOT NULL)",
                "CREATE TABLE r (id INTEGER primary /* the */ key asc ON CONFLICT ABORT AUTOINCREMENT  NOT NULL)",
            ),
            (
                "CREATE TABLE r (\"PRIMARY KEY\" TEXT DEFAULT 'it''s PRIMARY KEY', id INTEGER, PRIMARY KEY (id))",
                "CREATE TABLE r (\"PRIMARY KEY\" TEXT DEFAULT 'it''s PRIMARY KEY', id INTEGER, PRIMARY KEY (id AUTOINCREMENT ))",
            ),
            (
                "CREATE TABLE r (-- no PRIMARY KEY here\n id INTEGER PRIMARY KEY)",
                "CREATE TABLE r (-- no PRIMARY KEY here\n id INTEGER PRIMARY KEY AUTOINCREMENT )",
            ),
        ];
        for (before, after) in cases {
            assert_eq!(add_autoincrement(before).as_deref(), Some(after));
            assert!(!has_autoincrement(before));
            assert!(has_autoincrement(after));
        }
        assert_eq!(add_autoincrement("CREATE TABLE r (id INTEGER)"), None);
    }

    #[test]
    fn a_keyword_in_a_name_is_no_keyword() {
        assert!(!has_autoincrement(
            "CREATE TABLE r (id INTEGER PRIMARY KEY, \"autoincrement\" TEXT, [autoincrement] /* AUTOINCREMENT */)"
        ));
    }

    #[test]
    fn only_the_tables_own_name_changes() {
        assert_eq!(
            rename("CREATE TABLE `old` (old TEXT)", "new").as_deref(),
            Some("CREATE TABLE \"new\" (old TEXT)")
        );
        assert_eq!(rename("CREATE VIEW v AS SELECT 1", "new"), None);
    }
}
