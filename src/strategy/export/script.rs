//! A bash script.

use super::{ExportError, Format, Snippet, TAG_OF_BRANCH, yaml};
use crate::strategy::shell::quote;

pub(super) static FORMAT: Format =
    Format { id: "shell", summary: "a bash script, for any CI system", write };

/// Logs in where a password is given; otherwise the client's own login counts.
const LOGIN: &str = r#"if [ -n "${REGISTRY_PASSWORD-}" ]; then
  printf '%s' "$REGISTRY_PASSWORD" |
    CLIENT login --username "$REGISTRY_USER" --password-stdin "${repository%%/*}"
fi"#;

fn write(snippet: &Snippet<'_>) -> Result<String, ExportError> {
    let mut head = snippet.head();
    head.push(match snippet.folder.as_str() {
        "" => "Run it at the top of the checkout.".to_owned(),
        folder => format!("Run it in {folder}."),
    });
    head.push("REGISTRY_USER and REGISTRY_PASSWORD log in, if they are set.".to_owned());
    let mut preamble = vec![match snippet.image() {
        Some(image) => format!("repository={}", quote(&image)),
        None => {
            format!(
                "repository=${{REPOSITORY:?the repository, such as registry.example/team/{}}}",
                snippet.name
            )
        }
    }];
    if snippet.has_branches() {
        head.push("BRANCH is the branch that is built; its images are tagged so.".to_owned());
        preamble.push(format!("branch=${{BRANCH:-{}}}\n{TAG_OF_BRANCH}", snippet.job.own));
    }
    if snippet.uses_storage() {
        head.push("STORAGE is the folder that jobs share.".to_owned());
        preamble.push(match snippet.storage.as_deref() {
            Some(folder) => {
                format!("storage=${{STORAGE:-{}}}\nmkdir -p \"$storage\"", quote(folder))
            }
            None => "storage=${STORAGE:?the folder that jobs share}".to_owned(),
        });
    }
    preamble.push(LOGIN.replace("CLIENT", snippet.client()));
    let comments = yaml::comments(&head);
    Ok(format!("#!/usr/bin/env bash\n{comments}{}", snippet.script(&preamble)))
}
