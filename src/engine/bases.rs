//! Where a private engine gets the base images of a Dockerfile from.
//!
//! A fresh runner has none and pulls them, and that is part of its time. A private engine does the
//! same, from the run's own registry: it is asked first for every name of Docker Hub
//! (`registry-mirrors`), by both builders and with both image stores, and the Dockerfile stays as it
//! is. Names of other registries go to these registries.

/// The path within the mirror under which the engine looks for this image: `library/ruby:3.3` for
/// `ruby:3.3`. `None` for a name that is not of Docker Hub, or that is pinned by digest: a copy in
/// another registry has another digest.
pub fn mirrored_path(image: &str) -> Option<String> {
    if image.contains('@') || image == "scratch" {
        return None;
    }
    let path = match image.split_once('/') {
        Some(("docker.io" | "index.docker.io", path)) => path,
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => return None,
        _ => image,
    };
    let path = if path.contains('/') { path.to_owned() } else { format!("library/{path}") };
    let name = path.rsplit_once('/').map_or(path.as_str(), |(_, name)| name);
    Some(if name.contains(':') { path } else { format!("{path}:latest") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_docker_hub_have_a_place_in_the_mirror() {
        let path = |image| mirrored_path(image).unwrap();
        assert_eq!(path("ruby"), "library/ruby:latest");
        assert_eq!(path("breakeven-fixture-base:1"), "library/breakeven-fixture-base:1");
        assert_eq!(path("docker.io/library/ruby:3.3"), "library/ruby:3.3");
        assert_eq!(path("docker.io/ruby"), "library/ruby:latest");
        assert_eq!(path("acme/base:2"), "acme/base:2");
    }

    #[test]
    fn other_names_have_none() {
        for image in [
            "registry.invalid/x:1",
            "127.0.0.1:5000/x:1",
            "localhost/x",
            "scratch",
            "ruby@sha256:0123",
            "ruby:3.3@sha256:0123",
        ] {
            assert_eq!(mirrored_path(image), None, "{image}");
        }
    }
}
