//! What the server of the FUSE union is told of its layers, and the user namespace that it works in.

use crate::error::{Error, Result};
use crate::plan::{Given, HelperSpec, Op, Plan, UpperPlace};
use crate::sys;
use crate::union::InUse;
use crate::union::fuse;
use crate::union::view::Trees;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

/// The descriptors that the server gets besides the device, in the order of its plan.
pub(super) fn given(spec: &HelperSpec, plan: &Plan, uppers: Option<&InUse>, first: i32) -> Result<Vec<OwnedFd>> {
    let failed =
        |what: &str, errno: sys::Errno| Error::new(format!("{}: {what}: {errno}", spec.name)).origin(&spec.origin);
    let size = plan.view.union.as_ref().and_then(|union| union.limit);
    let layers = fuse::Unions { trees: Trees::default(), size, unions: layers(plan, uppers)? };
    let text = serde_json::to_string(&layers).map_err(|error| {
        Error::new(format!("an overlay cannot be served: {error}"))
            .origin(&spec.origin)
            .hint("paths of layers have to be UTF-8")
    })?;
    let memory = || -> sys::Result<OwnedFd> {
        let file = sys::memory_file(c"sbx-layers")?;
        sys::write_all(file.as_fd(), text.as_bytes())?;
        sys::seek(file.as_fd(), 0)?;
        Ok(file)
    };
    let mut given = vec![memory().map_err(|errno| failed("a file in memory", errno))?];
    if spec.has(&Given::UserNamespace) {
        let path = CString::new(format!("/proc/{first}/ns/user")).unwrap_or_default();
        let namespace = sys::openat(sys::cwd(), &path, libc::O_RDONLY, 0);
        given.push(namespace.map_err(|errno| failed("the user namespace of the sandbox cannot be opened", errno))?);
    }
    Ok(given)
}

/// The unions of a plan, in the order in which they are numbered.
fn layers(plan: &Plan, uppers: Option<&InUse>) -> Result<Vec<fuse::Layers>> {
    let kept = plan.view.union.as_ref().is_some_and(|union| !matches!(union.upper, UpperPlace::Disk { .. }));
    let mut unions = Vec::new();
    for placed in &plan.view.parts {
        let Op::Layers { path, served: Some(trees), fuse: true, own, without, points, .. } = &placed.op else {
            continue;
        };
        let found = uppers.and_then(|uppers| uppers.layers.iter().find(|(other, _)| other == path));
        let (_, place) =
            found.ok_or_else(|| Error::new(format!("{}: the overlay has no upper layer", path.display())))?;
        unions.push(fuse::Layers {
            trees: trees.clone(),
            frozen: place.frozen.clone(),
            upper: Some(fuse::UpperPlace { upper: place.upper.clone(), work: place.work.clone(), kept }),
            own: own
                .iter()
                .map(|file| fuse::OwnFile { path: file.path.clone(), mode: file.mode, data: file.data.clone() })
                .collect(),
            without: without.iter().map(std::path::PathBuf::from).collect(),
            points: points.clone(),
        });
    }
    Ok(unions)
}
