//! A receipt claims nothing that the plan does not do: what was preferred and is not enforced is said of the very line that asked.

#[path = "common/debian.rs"]
mod debian;

use debian::{debian, vars};
use sbx::host::{CgroupFacts, CoreHandler, Facts, Hierarchy, Manager, ScopeManager};
use sbx::plan::{self, Receipt};
use sbx::profile::{Loader, Merged, resolve};

/// A host whose user's manager hands on memory and pids alone.
fn host() -> Facts {
    let manager = Manager {
        dir: "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service".into(),
        address: "/run/user/1000/systemd/private".into(),
        user: true,
        controllers: vec!["memory".into(), "pids".into()],
    };
    let cgroup = CgroupFacts {
        hierarchy: Hierarchy::Unified,
        kernel: ["memory", "pids", "io"].map(String::from).into(),
        manager: ScopeManager::Available(manager),
        ..CgroupFacts::default()
    };
    Facts { cgroup: Some(cgroup), ..debian() }
}

fn receipt(text: &str) -> Receipt {
    receipt_on(text, host())
}

fn receipt_on(text: &str, facts: Facts) -> Receipt {
    let mut loader = Loader::new(Vec::new());
    let mut merged = Merged::default();
    loader.profile("base/host").into_iter().for_each(|layer| merged.apply(layer));
    let layer = loader.text("test", text);
    merged.apply(layer);
    assert_eq!(loader.errors, []);
    let mut sandbox = resolve::sandbox(&merged, &loader.sources, &vars(&facts)).unwrap();
    sandbox.process.args = vec!["program".into()];
    let plan = plan::plan(&sandbox, &facts).unwrap_or_else(|error| panic!("{error}"));
    plan::receipt(&sandbox, &plan)
}

/// How far a setting is enforced, by what, and what is missing.
fn line(receipt: &Receipt, setting: &str) -> (String, String, String) {
    let line = receipt.lines.iter().find(|line| line.setting.to_string() == setting).unwrap();
    (format!("{:?}", line.enforced), line.by.join("; "), line.missing.join("; "))
}

#[test]
fn limits_of_one_line_are_told_apart() {
    let receipt = receipt("limits = { pids_max = 10, memory_max = \"64M\", io_weight = \"50,prefer\" }");
    let enforced = |by: &str| ("Full".to_owned(), by.to_owned(), String::new());
    assert_eq!(line(&receipt, "limits.memory_max"), enforced("cgroup v2: memory.max = 67108864"));
    assert_eq!(line(&receipt, "limits.pids_max"), enforced("cgroup v2: pids.max = 10"));
    let (extent, by, missing) = line(&receipt, "limits.io_weight");
    assert_eq!((extent.as_str(), by.as_str()), ("None", ""));
    assert!(missing.starts_with("limits.io_weight is not enforced: systemd does not delegate io to"), "{missing}");
}

#[test]
fn a_path_that_leads_through_a_link_is_not_said_to_be_what_it_is_not() {
    // /bin is a link to usr/bin, where nothing can be made.
    let receipt = receipt("[filesystem.paths]\n\"/bin/new\" = \"tmpfs,prefer\"\n\"/usr/lib\" = \"masked\"\n");
    let (extent, by, missing) = line(&receipt, "filesystem.paths: /bin/new = \"tmpfs\"");
    assert_eq!((extent.as_str(), by.as_str()), ("None", ""));
    assert!(missing.contains("/usr/bin/new is not `tmpfs`: "), "{missing}");
    assert_eq!(line(&receipt, "filesystem.paths: /usr/lib = \"masked\"").0, "Full");
}

#[test]
fn a_limit_that_fails_at_the_start_is_taken_back() {
    let mut receipt = receipt("[limits]\npids_max = 10\nmemory_max = \"64M,prefer\"\n");
    receipt.not_enforced("memory_max", "writing failed");
    assert_eq!(line(&receipt, "limits.memory_max"), ("None".to_owned(), String::new(), "writing failed".to_owned()));
    assert_eq!(line(&receipt, "limits.pids_max").0, "Full");
}

#[test]
fn a_call_that_is_allowed_by_its_name_is_told_where_it_gives_set_user_id_bits() {
    let deny = "security.setuid_bits = \"deny\"";
    assert_eq!(line(&receipt(""), deny).0, "Full");
    let (extent, _, missing) = line(&receipt("[security]\nsyscalls = { allow = [\"chmod\", \"ptrace\"] }\n"), deny);
    assert_eq!((extent.as_str(), missing.as_str()), ("Partial", "security.syscalls.allow lifts it for chmod"));
    assert_eq!(line(&receipt("[security]\nsyscalls = { allow = [\"@known\"] }\n"), deny).0, "Full");
    let allowed = receipt("[security]\nsetuid_bits = \"allow\"\n");
    assert_eq!(line(&allowed, "security.setuid_bits = \"allow\"").0, "Full");
}

#[test]
fn who_receives_core_dumps_all_the_same_is_told() {
    let with = |handler: Option<CoreHandler>, text: &str| receipt_on(text, Facts { core_handler: handler, ..host() });
    let of = |receipt: &Receipt| {
        let (extent, _, missing) = line(receipt, "rlimits.core");
        (extent, missing)
    };
    assert_eq!(of(&with(None, "")).0, "Full");
    let (extent, missing) = of(&with(Some(CoreHandler::Socket("/run/systemd/coredump".into())), ""));
    assert!(extent == "Partial" && missing.contains("the socket /run/systemd/coredump"), "{missing}");
    let (extent, missing) = of(&with(Some(CoreHandler::Program("/usr/bin/apport".into())), "[rlimits]\ncore = 0\n"));
    assert!(
        extent == "Partial" && missing.contains("reach /usr/bin/apport") && missing.contains("core = 1"),
        "{missing}"
    );
    let (extent, missing) = of(&with(None, "[security]\nseccomp = \"off\"\n"));
    assert!(extent == "Partial" && missing.contains("may set it to 0"), "{missing}");
}
