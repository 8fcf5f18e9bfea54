//! Where things lie.

use std::path::{Path, PathBuf};

/// Returns the folder that holds the workspace's `Cargo.toml`.
///
/// # Panics
///
/// If this package was moved out of the workspace.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("the package lies in the workspace").to_path_buf()
}

/// Returns the folder of recorded gripper data, if somebody laid one beside the checkout
/// (`../shared/data`). It is large, not ours to publish, and no check depends on it alone.
#[must_use]
pub fn shared_data() -> Option<PathBuf> {
    let folder = workspace_root().parent()?.join("shared").join("data");
    folder.is_dir().then_some(folder)
}
