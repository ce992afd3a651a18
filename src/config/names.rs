//! What names may look like: they become parts of cell keys, repositories, tags and file names.

/// A change: a part of a cell's key.
pub(super) fn is_word(name: &str) -> bool {
    starts_alphanumeric(name)
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// What [`is_word`] wants.
pub(super) const WORD: &str = "letters, digits, `.`, `_` and `-`, a letter or digit first";

/// A tag of an image.
pub(super) fn is_tag(name: &str) -> bool {
    name.len() <= 128
        && !name.starts_with(['.', '-'])
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// What [`is_tag`] wants.
pub(super) const TAG: &str =
    "up to 128 letters, digits, `.`, `_` and `-`, a letter, digit or `_` first";

/// A path of a repository: parts in lower case, separated by `/`.
pub(super) fn is_repository(path: &str) -> bool {
    path.split('/').all(is_repository_part)
}

/// One part of a repository's path.
pub(super) fn is_repository_part(part: &str) -> bool {
    // Separators are one `.`, one or two `_`, or any number of `-`, never at an end.
    let separator =
        |text: &str| text == "." || text == "_" || text == "__" || text.chars().all(|c| c == '-');
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    starts_alphanumeric(part)
        && part.ends_with(alphanumeric)
        && part.split(alphanumeric).all(separator)
}

/// What [`is_repository_part`] wants.
pub(super) const REPOSITORY_PART: &str =
    "lower-case letters and digits, with single `.`, `_` or `-` between them";

/// The name of an environment variable, as shells have it.
pub(super) fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What [`is_variable`] wants.
pub(super) const VARIABLE: &str = "letters, digits and `_`, no digit first";

fn starts_alphanumeric(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_docker_takes_are_taken_and_others_are_not() {
        for good in ["web", "a1", "a-b.c_d", "a__b", "a---b"] {
            assert!(is_repository_part(good), "{good}");
        }
        for bad in ["", "Web", "-a", "a-", "a..b", "a___b", "a b", "a/b", "ä"] {
            assert!(!is_repository_part(bad), "{bad}");
        }
        assert!(is_repository("team/web") && !is_repository("team//web"));
        for good in ["main", "_x", "V1.2-rc", &"a".repeat(128)] {
            assert!(is_tag(good), "{good}");
        }
        for bad in ["", ".x", "-x", "feature/x", "a+b", &"a".repeat(129)] {
            assert!(!is_tag(bad), "{bad}");
        }
        assert!(is_variable("TOKEN_2") && is_variable("_x"));
        for bad in ["", "2x", "a-b", "a b", "$(x)", "é"] {
            assert!(!is_variable(bad), "{bad}");
        }
        assert!(is_word("deps-2") && !is_word("a,b") && !is_word("a/b") && !is_word("*"));
    }
}
