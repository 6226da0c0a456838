//! What holds for every text file.

use std::path::Path;

use crate::tidy::Finding;

/// Finds trailing blanks, missing final newlines, and paths of one machine.
pub(super) fn check(path: &Path, text: &str, root: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let homes = machine_paths(root);
    for (index, line) in text.lines().enumerate() {
        if line.ends_with([' ', '\t', '\r']) {
            findings.push(Finding::new(path, index + 1, "trailing blanks; remove them"));
        }
        if let Some(home) = homes.iter().find(|home| holds_path(line, home)) {
            findings.push(Finding::new(path, index + 1, format!("a path of one machine ({home}); make it relative")));
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        findings.push(Finding::new(path, text.lines().count(), "no newline at the end; add one"));
    }
    findings
}

fn machine_paths(root: &Path) -> Vec<String> {
    let folders = ["home", "root", "Users", "work"].map(|name| format!("/{name}/"));
    folders.into_iter().chain([root.display().to_string()]).collect()
}

/// Whether a line holds the path as a path of its own, not as the end of another or of a URL.
fn holds_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || "._-~}>*)".contains(letter))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let findings = check(Path::new("a.rs"), text, Path::new("/srv/checkout"));
        findings.into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn blanks_and_missing_newlines_are_found() {
        assert_eq!(lines("a\nb \n\tc\t\nd"), [2, 3, 4]);
        assert!(lines("a\n  b\n").is_empty() && lines("").is_empty());
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        let home = ["/ho", "me/me/x"].concat();
        assert_eq!(lines(&format!("open(\"{home}\")\nsee /srv/checkout/a\n")), [1, 2]);
        assert!(lines(&format!("https://example.com{home}\n/etc/hosts\n/tmp/x\n")).is_empty());
    }
}
