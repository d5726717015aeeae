//! Patterns of names and paths.

/// A text with wildcards: `*` stands for any characters but `/`, `**` for any at all, `?` for one that is not `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Pattern(text.to_owned())
    }
}

impl Pattern {
    /// Whether the whole text fits.
    pub fn matches(&self, text: &str) -> bool {
        // For each place in the text: whether the pattern so far can end there. Time is the product of both lengths,
        // whatever the pattern is.
        let text: Vec<char> = text.chars().collect();
        let mut reached = vec![false; text.len() + 1];
        if let Some(start) = reached.first_mut() {
            *start = true;
        }
        let mut pattern = self.0.chars().peekable();
        while let Some(c) = pattern.next() {
            let deep = c == '*' && pattern.next_if_eq(&'*').is_some();
            // `**/` also stands for no directory at all.
            let optional = deep && pattern.peek() == Some(&'/');
            let before = reached.clone();
            let mut run = false;
            for (place, slot) in reached.iter_mut().enumerate() {
                let last = place.checked_sub(1).and_then(|p| text.get(p));
                let from = place.checked_sub(1).and_then(|p| before.get(p)).copied().unwrap_or_default();
                *slot = match c {
                    '*' => {
                        run = before.get(place).copied().unwrap_or_default() || run && (deep || last != Some(&'/'));
                        run
                    }
                    '?' => from && last.is_some_and(|l| *l != '/'),
                    c => from && last == Some(&c),
                };
            }
            if optional {
                pattern.next();
                let after: Vec<bool> = reached
                    .iter()
                    .enumerate()
                    .map(|(place, _)| {
                        let here = before.get(place).copied().unwrap_or_default();
                        let slash = place
                            .checked_sub(1)
                            .is_some_and(|p| text.get(p) == Some(&'/') && reached.get(p).copied().unwrap_or_default());
                        here || slash
                    })
                    .collect();
                reached = after;
            }
        }
        reached.last().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_names_and_paths() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(Pattern::from(pattern).matches(text), expected, "{pattern} {text}");
        };
        check("CVE-1", "CVE-1", true);
        check("CVE-1", "CVE-12", false);
        check("CVE-2024-*", "CVE-2024-1", true);
        check("*", "a/b", false);
        check("**", "a/b", true);
        check("app/*/x", "app/a/x", true);
        check("app/*/x", "app/a/b/x", false);
        check("app/**", "app/a/b/x", true);
        check("**/x", "x", true);
        check("**/x", "a/b/x", true);
        check("**/x", "a/bx", false);
        check("a?c", "abc", true);
        check("a?c", "a/c", false);
        check(&("*a".repeat(40) + "b"), &"a".repeat(2000), false);
        check("", "", true);
    }
}
