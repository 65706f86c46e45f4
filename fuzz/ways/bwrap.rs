//! Any bytes as a command line of bubblewrap's: no panic on the way to a plan, nothing is touched but the descriptors that it names,
//! and each of those once.

use sbx::bwrap::{Caller, Inputs, Options, parse, sandbox};
use sbx::host::Facts;
use sbx::plan;
use sbx::testing::Errno;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// Descriptors that give these bytes, once.
struct Given(BTreeMap<i32, Vec<u8>>);

impl Inputs for Given {
    fn read(&mut self, fd: i32) -> Result<Vec<u8>, Errno> {
        self.0.remove(&fd).ok_or(Errno(9 /* EBADF */))
    }
}

/// The whole way. Bytes 0xff part the command line from what descriptors 3, 4 and so on give; NUL bytes part words. Gives how far it
/// went: 0 not parsed, 1 no sandbox, 2 no plan, 3 a plan.
pub fn way(bytes: &[u8]) -> u8 {
    let mut parts = bytes.split(|byte| *byte == 0xff);
    let words = parts.next().unwrap_or_default().split(|byte| *byte == 0);
    let args: Vec<OsString> = words.map(|word| OsString::from_vec(word.to_vec())).collect();
    let mut given = Given((3..).zip(parts.map(<[u8]>::to_vec)).collect());
    let mut options = Options { environment: vec![("HOME".into(), "/home/u".into())], ..Options::default() };
    if let Err(error) = parse(args, &mut given, &mut options) {
        assert!(error.status == 1 && !error.message.is_empty() && !error.hints.is_empty(), "{error:?}");
        assert!(!error.to_string().contains('\u{1b}'), "{error:?}");
        return 0;
    }
    let caller = Caller {
        uid: 1000,
        gid: 1000,
        capabilities: 0,
        cwd: "/home/u/w".into(),
        terminal: None,
        user_namespaces: true,
        cgroup_namespaces: true,
        selinux: false,
        ends_background: false,
        is_open: |fd| fd < 20,
    };
    let command = options.command.clone();
    let sandbox = match sandbox(options, None, &caller) {
        Ok(sandbox) => sandbox,
        Err(error) => {
            assert!(error.status == 1 && !error.message.is_empty(), "{error:?}");
            return 1;
        }
    };
    for mount in &sandbox.filesystem.mounts {
        assert!(!mount.dest.as_os_str().is_empty() && !mount.origin.0.is_empty(), "{mount:?}");
        assert_eq!(mount.parents & !0o755, 0, "{mount:?}");
    }
    let facts = Facts { uid: 1000, gid: 1000, kernel: (6, 1), home: "/home/u".into(), ..Facts::default() };
    match plan::plan(&sandbox, &facts) {
        Ok(plan) => {
            assert!(plan.view.parts.len() >= sandbox.filesystem.mounts.len());
            assert_eq!(plan.process.args.len(), command.len());
            let _ = plan::text(&plan);
            3
        }
        Err(_) => 2,
    }
}
