//! Has the Wayland compositor restrict the socket that the program finds in its view.

use super::inside;
use crate::error::{Error, Result};
use crate::plan::WaylandPlan;
use crate::sys;
use crate::wayland::{Client, Compositor, PATIENCE, describe};
use std::os::fd::{AsFd, OwnedFd};

/// Makes the socket in the view, and hands it to the compositor. Gives the descriptor for whose life the compositor
/// accepts connections on it: this process must have the only one.
///
/// # Errors
///
/// The socket cannot be made, or the compositor refuses it or does not answer. The program must not start then.
pub(super) fn restrict(plan: &WaylandPlan, first: i32) -> Result<OwnedFd> {
    let failed = |what: &str, why: String| {
        Error::new(format!("{what}: {why}"))
            .origin(&plan.origin)
            .hint("--set desktop.wayland=false goes without a Wayland display")
    };
    let shown = plan.socket.display();
    let listener = inside::listen(&plan.socket, first)
        .map_err(|errno| failed(&format!("the Wayland socket {shown} cannot be made inside"), errno.to_string()))?;
    let (end, alive) = sys::pipe().map_err(|errno| failed("pipe", errno.to_string()))?;
    let instance_id = first.to_string();
    let client = Client { engine: "sbx", app_id: &plan.app_id, instance_id: &instance_id };
    let what = || format!("the Wayland compositor at {} does not restrict a socket", plan.compositor.display());
    Compositor::connect(&plan.compositor, PATIENCE)
        .and_then(|compositor| compositor.restrict(listener.as_fd(), end.as_fd(), &client))
        .map_err(|error| failed(&what(), describe(&error)))?;
    Ok(alive)
}
