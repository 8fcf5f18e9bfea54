//! A bundle that is written into the folder of the model that ships.

use std::path::Path;

use griptrace_core::{
    id::NodeId,
    node::{Kind, Role},
};

use crate::{context::Context, error::CommandError, resolve::is_folder, view::headline, workspace::Workspace};

/// Warns of a file that lies in a folder which holds every file of a shipped model: to a buyer who compares the folder it is
/// one file too many. Where the folder was when it was recorded no log keeps, so that it is known by its files.
pub(super) fn warn(context: &Context, workspace: &Workspace, id: &NodeId, path: &Path) -> Result<(), CommandError> {
    let root = workspace.node(id)?;
    let shipped = root.core.edges_of(Role::Ships).filter(|edge| edge.home.is_none()).map(|edge| edge.to);
    let models: Vec<NodeId> = shipped.chain((root.core.kind == Kind::Model).then_some(*id)).collect();
    let Ok(path) = path.canonicalize() else { return Ok(()) };
    for model in models {
        let model = workspace.node(&model)?;
        let Some(manifest) = model.record.manifest.as_ref().filter(|_| is_folder(&model)) else { continue };
        let holds_all = |folder: &&Path| {
            let mut paths = manifest.files.iter().map(|file| String::from_utf8_lossy(&file.path));
            !manifest.files.is_empty() && paths.all(|path| folder.join(path.as_ref()).is_file())
        };
        if let Some(folder) = path.ancestors().skip(1).find(holds_all) {
            context.output.warn(format_args!(
                "{} is written into {}, which has the files of {}: to a buyer who compares that folder it is one file too many",
                path.display(),
                folder.display(),
                headline(&model)
            ));
        }
    }
    Ok(())
}
