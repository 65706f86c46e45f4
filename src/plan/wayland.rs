//! Plans the Wayland socket: one that the compositor restricts, the compositor's own, or none.

use super::lines::{Lines, from};
use super::note::Note;
use crate::error::{Error, Result};
use crate::host::{Compositor, Facts};
use crate::spec::{Origin, Sandbox, Wayland};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A socket that is made in the view, and that the compositor accepts connections on: it restricts what they may do
/// (security-context-v1), until sbx has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaylandPlan {
    /// Path of the compositor's own socket on the host.
    pub compositor: PathBuf,
    /// Path of the restricted socket inside.
    pub socket: PathBuf,
    /// The application's name for the compositor: the profile's, as an id with dots.
    pub app_id: String,
    /// The line of a profile, or the flag, that asked for it.
    #[serde(skip)]
    pub origin: Origin,
}

impl WaylandPlan {
    pub(super) fn render(&self, lines: &mut Lines) {
        let WaylandPlan { compositor, socket, app_id, origin } = self;
        let (compositor, socket) = (compositor.display(), socket.display());
        let text = format!("{socket}, restricted by the compositor at {compositor} as {app_id}{}", from(origin));
        lines.add("wayland", text);
    }
}

/// How the program reaches the compositor.
pub(super) enum Reached<'a> {
    /// Not at all.
    No,
    /// By this socket of the compositor, as it is.
    Own(&'a Path),
    /// By a socket that it restricts; this is its own.
    Restricted(&'a Path),
}

/// Decides how the program reaches the compositor.
///
/// # Errors
///
/// The compositor does not answer.
pub(super) fn reached<'a>(sandbox: &Sandbox, facts: &'a Facts, notes: &mut Vec<Note>) -> Result<Reached<'a>> {
    let Some(wayland) = facts.desktop.wayland.as_ref().filter(|_| sandbox.desktop.wayland != Wayland::Off) else {
        return Ok(Reached::No);
    };
    let socket = wayland.socket.as_path();
    let origin = || sandbox.origins.of("desktop.wayland", "");
    Ok(match &wayland.compositor {
        _ if sandbox.desktop.wayland == Wayland::Unrestricted => Reached::Own(socket),
        Compositor::Restricts => Reached::Restricted(socket),
        Compositor::Powerless => Reached::Own(socket),
        Compositor::Powers(powers) => {
            notes.push(Note::CannotRestrict { socket: socket.to_owned(), powers: powers.clone() });
            Reached::No
        }
        Compositor::Failed(why) => {
            return Err(Error::new(format!("the Wayland compositor at {} does not answer: {why}", socket.display()))
                .origin(&origin())
                .hint("see whether it hangs, or whether WAYLAND_DISPLAY names it; --set desktop.wayland=false goes without"));
        }
        Compositor::NotAsked => Reached::No,
    })
}
